# SPDX-License-Identifier: MIT
"""Builds and drops dictionaries, lists and strings: many small objects, some of which stay."""
import json

kept = {}
for round in range(10):
    rows = [{"id": i, "name": f"row {i} of {round}", "values": [i, i * 0.5, str(i)]}
            for i in range(12000)]
    text = json.dumps(rows)
    again = json.loads(text)
    assert again == rows
    words = {}
    for word in text.split('"'):
        words[word] = words.get(word, 0) + 1
    kept[round % 6] = sorted(words.items())[:20000]
print(sum(len(v) for v in kept.values()))
