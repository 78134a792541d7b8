#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peak.py: a program that needs much memory for a moment, and little afterwards.

It reads documents, keeps all of them until it has made an index, and then only the index, whose entries were
allocated between the documents.  Afterwards it does what most services do most of the time: a little.  It answers
a question of the index every 20 ms.

    PYTHONMALLOC=malloc quire run --compare -- python3 examples/peak.py

Python's own allocator would stand in front of the one that is compared.
"""
import json
import os
import sys
import time

DOCUMENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 24000
QUIET_SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 12


def document(number):
    """One of some 60 objects, as it comes over the network."""
    return json.dumps({
        "id": number,
        "title": f"document {number}",
        "tags": [f"tag {number % 97} {i}" for i in range(12)],
        "parts": [{"name": f"part {i}", "text": f"{number} {i} " * (4 + i)} for i in range(12)],
    })


def entry(parsed):
    """What is kept of a document in a hundred."""
    return {"id": parsed["id"], "words": sorted(set(parsed["parts"][-1]["text"].split()))}


def make_index():
    documents, index = [], []
    for number in range(DOCUMENTS):
        documents.append(json.loads(document(number)))
        if number % 100 == 0:
            index.append(entry(documents[-1]))
    return index


def answer(index, number):
    """Some entries as text, as they would be sent."""
    return json.dumps([index[(number * 7 + i) % len(index)] for i in range(20)])


kept = make_index()
end = time.monotonic() + QUIET_SECONDS
questions = 0
while time.monotonic() < end:
    time.sleep(0.02)
    answer(kept, questions)
    questions += 1
os._exit(0)  # as a service that is killed: what Python frees at its end is not the question
