# SPDX-License-Identifier: MIT
"""breaks.py - the breaks that scripts/sweep makes of a source file, each by one of a few rules

The source is read as lines: clang-format puts one statement on a line, or on several of which the later ones are
indented more, and ends a function with a brace in the first column.  A rule that does not find what it
needs makes no break, so reading by lines can miss breaks, and a break that does not compile is counted as such.
"""
import collections
import hashlib
import re

from simtree import masked

# What matters most is first, and swept first.
KINDS = {
    "unlocked": "a lock or mutex is neither taken nor released, or released as soon as a helper has taken it",
    "term": "a term of a condition that reads shared state is left out",
    "dropped": "a fence, an end of a gather, a kick or a wake is left out",
    "relaxed": "an acquire, a release or both is relaxed",
    "halved": "what is an acquire and a release is one of them alone",
    "released-early": "a release is a statement earlier",
    "acquired-late": "an acquisition is a statement later",
    "first-left-out": "a loop over all leaves the first out",
    "last-left-out": "a loop over all leaves the last out",
    "swapped": "two neighbouring stores to shared fields are swapped",
}

RELAXED = {
    "load_acquire": "load_relaxed", "store_release": "store_relaxed",
    "fetch_add_release": "fetch_add_relaxed",
    "fetch_add_acq_rel": "fetch_add_relaxed", "fetch_sub_acq_rel": "fetch_sub_relaxed",
    "cas_acquire": "cas_relaxed", "cas_release": "cas_relaxed", "cas_acq_rel": "cas_relaxed",
    "fetch_and_release": "fetch_and_relaxed",
}
# These have no relaxed form in machine/atomic.h.
BUILTIN = {
    "fetch_and_acq_rel": "__atomic_fetch_and({}, __ATOMIC_RELAXED)",
    "fetch_or_acq_rel": "__atomic_fetch_or({}, __ATOMIC_RELAXED)",
    "fetch_and_acquire": "__atomic_fetch_and({}, __ATOMIC_RELAXED)",
    "exchange_acquire": "__atomic_exchange_n({}, __ATOMIC_RELAXED)",
    "exchange_release": "__atomic_exchange_n({}, __ATOMIC_RELAXED)",
    "exchange_acq_rel": "__atomic_exchange_n({}, __ATOMIC_RELAXED)",
}
# A failed compare-and-exchange stays the acquire that it is.
HALVES = {
    "fetch_add_acq_rel": "__atomic_fetch_add({}, __ATOMIC_{})",
    "fetch_sub_acq_rel": "__atomic_fetch_sub({}, __ATOMIC_{})",
    "fetch_and_acq_rel": "__atomic_fetch_and({}, __ATOMIC_{})",
    "fetch_or_acq_rel": "__atomic_fetch_or({}, __ATOMIC_{})",
    "exchange_acq_rel": "__atomic_exchange_n({}, __ATOMIC_{})",
    "cas_acq_rel": "__atomic_compare_exchange_n({}, 0, __ATOMIC_{}, __ATOMIC_ACQUIRE)",
}
DROPPED = re.compile(r"^(?:\(void\))?\s*\w*(?:fence|kick|wake|gather_finish)\w*\(")
ACQUIRES = {"lock_acquire": "lock_release", "lock_acquire_ordered": "lock_release",
            "mutex_acquire": "mutex_release"}
ACQUIRE = r"(?:(?:lock|mutex)_acquire(?:_ordered)?|\w*lock_for)\("
RELEASE = r"(?:(?:lock|mutex)_release|\w+_unlock)\("
# What takes a lock for a token of its caller.
HELPERS = r"lock_acquire_or_try|\w+_current_try|(?:\w*_)?lock_(?:for|slot|unopened)|\w+_lock"
STORE = re.compile(r"^(?:(?:store|fetch)_\w+\(|count_add\(|[\w>.\[\]()&*-]*->[\w>.\[\]&*+ -]*?\s*"
                   r"(?:=(?!=)|[-+|&^]=|\+\+|--))")
# Of what a store names first, or assigns to, the field; and calls whose name says that they order.
FIELD = re.compile(r"(?:->|\.)(\w+)(?:\[[^]]*\])*\s*(?:,|[-+|&^]?=(?!=)|\+\+|--)")
MARKED = re.compile(r"(?:store|fetch)_\w+\(|count_add\(")
COUNT = re.compile(r"count_add\(")
# What a plain store assigns to where that is an element with a constant's name.
ELEMENT = re.compile(r"([\w>.-]+)\[([A-Z][A-Z_0-9]*)\]\s*=(?!=)")
ORDERS = re.compile(r"\b\w*(?:acquire|release|acq_rel|seq_cst|fence|lock|mutex|_try)\w*\(")
LOOP = re.compile(r"^\s*for \((?:\w+ )+?(\w+) = ([01]); (\1) < ([^;]*?); \1 ?\+\+.*$")
ALL = re.compile(r"(?:cpus|slots|zones|units|doors|classes|modules|regions|shards)(?:_nr|_NR)?\b|"
                 r"(?:CPUS|SLOTS|ZONES|UNITS|CLASSES|TYPES|ORDERS|REGIONS|BINS|LISTS)_(?:NR|MAX)\b|"
                 r"sim_cpus|stack_slots|possible")
LOAD = re.compile(r"\b(?:load|fetch|exchange|cas)_\w+\(")
# p->zone[z].free, &p->x, page_of(p, f)->next: a chain of fields, and whether only its address is meant.
CHAIN = re.compile(r"(&\s*)?\b(\w+(?:\([^()]*\))?(?:\[[^][]*\])*(?:(?:->|\.)\w+(?:\[[^][]*\])*)+)")
REQUESTS = ("request", "options", "args", "arguments", "placed", "scene")


# Fields of one type, and what the header says of them; a field's name.
FIELDS = re.compile(r"^\t(?!return\b)([^;/()=]*);([^\n]*)$", re.M)
NAME = re.compile(r"(\w+)(?:\[[^]]*\])*(?: : \d+)?(?:,|$)")


def constant_fields(headers):
    """Names of fields that the headers' comments call (c): constant.  One that any header does not call so is left out, since
    a condition does not say of which struct it is."""
    constant, others = set(), set()
    for text in headers:
        for found in FIELDS.finditer(text):
            names = constant if re.match(r"[^/]*/\* \(c\)", found[2]) else others
            names.update(NAME.findall(found[1]))
    return constant - others


def reads_shared(term, constant):
    """Does a term of a condition read what another thread may have changed?"""
    if LOAD.search(term):
        return True
    for found in CHAIN.finditer(term):
        fields = re.findall(r"(?:->|\.)(\w+)", found[2])
        base = re.match(r"\w+", found[2])[0]
        if not found[1] and "->" in found[2] and base not in REQUESTS and fields[-1] not in constant:
            return True
    return False


def closing(text, at):
    """Where the bracket that opens at text[at] closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return -1


def name_of(content):
    return hashlib.sha256(content.encode()).hexdigest()[:12]


class Break:
    """A change of one file: @edits are (from, to, new text) of its characters."""

    whole = None  # the id of another that does all that this does, and more

    def __init__(self, path, text, function, kind, edits):
        self.path, self.function, self.kind = path, function, kind
        self.edits = sorted(edits)
        self.line = text.count("\n", 0, self.edits[0][0]) + 1
        start = text.rfind("\n", 0, self.edits[0][0]) + 1
        end = text.find("\n", self.edits[-1][1])
        self.old = text[start:end]
        self.new = self.applied(text)[start:end + self.growth()]
        self.text = text
        # What a reader judged: the place by name, and the change; not where in the file it is.
        self.id = name_of("\0".join([path, function, kind, " ".join(self.old.split()), " ".join(self.new.split())]))

    def growth(self):
        return sum(len(new) - (to - at) for at, to, new in self.edits)

    def applied(self, text):
        for at, to, new in reversed(self.edits):
            text = text[:at] + new + text[to:]
        return text


class Function:
    def __init__(self, name, start, end):
        self.name, self.start, self.end = name, start, end


def functions(mask):
    """(name, start of the body, its end) of each function of the file."""
    for found in re.finditer(r"^\{$", mask, re.M):
        end = mask.find("\n}", found.end())
        head = mask[:found.start()].rstrip()
        head = head[max(head.rfind(";"), head.rfind("}"), head.rfind("\n\n")) + 1:]
        head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S)
        name = re.search(r"(\w+)\s*\(", re.sub(r"^#.*$", "", head, flags=re.M))
        if name is not None and end > 0:
            yield Function(name[1], found.end(), end + 1)


def statements(mask, function):
    """(start, end, indent) of each simple statement: its text without indentation, with the semicolon."""
    at = function.start
    for line in re.finditer(r"^(\t+)(?![\s}#])(.*)$", mask[:function.end], re.M):
        if line.start() < at or re.match(r"(?:if|for|while|do|switch|else|case|default|goto|return|break|continue)\b|"
                                         r"\w+:|\{", line[2]):
            continue
        start = line.start(2)
        depth = 0
        for i in range(start, function.end):
            depth += (mask[i] in "([{") - (mask[i] in ")]}")
            if mask[i] == ";" and depth == 0:
                at = i + 1
                yield start, i + 1, len(line[1])
                break
            if depth < 0:
                break


def is_declaration(text):
    return re.match(r"(?:const |static |struct |enum |unsigned |volatile )*\w+ \**\w+(?:\[[^]]*\])*(?:;| = |,)",
                    text) is not None and not re.match(r"\w+ = ", text)


def uses_what_it_makes(first, second):
    """Does the second statement read a variable that the first one declares or assigns?"""
    made = re.match(r"(?:[\w ]+? \**)?(\w+) = ", first)
    return made is not None and re.search(rf"\b{made[1]}\b", second) is not None


def lock_breaks(text, mask, function):
    body = mask[function.start:function.end]
    calls = {}
    for found in re.finditer(r"\b(lock_acquire|lock_acquire_ordered|mutex_acquire|lock_release|mutex_release)\(", body):
        start = function.start + found.start()
        end = closing(mask, start + len(found[0]) - 1)
        inside = text[start + len(found[0]):end]
        calls.setdefault((found[1].split("_")[0], inside.split(",")[0].strip()), []).append(
            (found[1], start, end + 1, inside))
    for (what, _), of_it in sorted(calls.items()):
        names = {name for name, *_ in of_it}
        if not any(name in ACQUIRES and ACQUIRES[name] in names for name in names):
            continue
        edits = []
        for name, start, end, inside in of_it:
            if name.startswith("lock_acquire"):
                edits.append((start, end, "0u"))
            elif name == "lock_release":
                edits.append((start, end, f"((void)({inside.split(',', 1)[1].strip()}))"))
            else:
                edits.append((start, end, "((void)0)"))
        yield "unlocked", edits


def statement_end(mask, at):
    """Where the statement around a call ends: a simple one, or an if with what it governs."""
    start = at
    while mask[start - 1] not in ";{}":
        start -= 1
    found = re.match(r"\s*if \(", mask[start:])
    if found:
        start = closing(mask, start + found.end() - 1) + 1
    while mask[start] not in ";{":
        start += 1
    return closing(mask, start) + 1 if mask[start] == "{" else start + 1


def helper_breaks(text, mask, function):
    """Locks that helpers take, or release, for a token of this function: released as soon as they are taken."""
    body = mask[function.start:function.end]
    for token in sorted(set(re.findall(r"\block_token (\w+)\b", body))):
        taken = list(re.finditer(rf"\b{token} = (lock_acquire(?:_ordered)?)\(|"
                                 rf"(!?)\b({HELPERS})\((?:[^;{{}}()]|\([^;{{}}()]*\))*, &{token}\)( != 0)?", body))
        released = list(re.finditer(rf"\b(lock_release|\w+_unlock)\([^;]*?, {token}\)(?=;)", body))
        if not taken or not released or all(found[3] is None for found in taken) and \
                all(found[1] == "lock_release" for found in released):
            continue
        edits = [(function.start + found.start(), function.start + found.end(), f"((void)({token}))")
                 for found in released]
        for found in taken:
            if body[:found.start()].rstrip().endswith("if (") and not (found[2] or found[4]):
                break  # taken within the statement, not after it
            after = statement_end(mask, function.start + found.start())
            tried = re.search(r"(\w+) = [^;]*$", body[:found.end()]) if "_try(" in found[0] else None
            where = f"if ({tried[1]} != NULL) " if tried else ""
            edits.append((after, after, f" {where}{released[0][0]};"))
        else:
            yield "unlocked", edits


def swap(text, first, second):
    return [(first[0], first[1], text[second[0]:second[1]]), (second[0], second[1], text[first[0]:first[1]])]


def neighbours(mask, found):
    """Pairs of statements that follow each other in one block."""
    for first, second in zip(found, found[1:]):
        if first[2] == second[2] and mask[first[1]:second[0]].strip() == "":
            yield first, second


def is_ordered(first, second):
    """Are two stores ones that nobody else exchanges?  The compiler may, if one is plain, none orders, and neither reads the
    field that the other writes."""
    if COUNT.match(first) and COUNT.match(second):
        return False  # by what the macro is for, each is a hint of its own
    if ORDERS.search(first) or ORDERS.search(second) or MARKED.match(first) and MARKED.match(second):
        return True
    one, two = ELEMENT.match(first), ELEMENT.match(second)
    if one and two and one[1] == two[1] and one[2] != two[2]:
        array = re.escape(one[1].split(">")[-1].split(".")[-1])
        return any(re.search(rf"(?:->|\.){array}\b", part) for part in (first[one.end():], second[two.end():]))
    return any(re.search(rf"(?:->|\.){field}\b", other) for one, other in ((first, second), (second, first))
               for field in FIELD.findall(one))


def order_breaks(text, mask, function):
    found = list(statements(mask, function))
    for first, second in neighbours(mask, found):
        one, two = mask[first[0]:first[1]], mask[second[0]:second[1]]
        if re.match(RELEASE, two) and not is_declaration(one) and not re.match(f"{RELEASE}|{ACQUIRE}", one):
            yield "released-early", swap(text, first, second)
        if re.search(rf"\b{ACQUIRE}", one) and not re.search(rf"\b(?:{RELEASE}|{ACQUIRE}|DCHECK\()", two) and \
                not is_declaration(two) and not uses_what_it_makes(one, two):
            yield "acquired-late", swap(text, first, second)
        if STORE.match(one) and STORE.match(two) and one != two and not uses_what_it_makes(one, two) and \
                is_ordered(one, two):
            yield "swapped", swap(text, first, second)
    for start, end, _ in found:
        if DROPPED.match(mask[start:end]):
            yield "dropped", [(start, end, ";")]


def relaxed_breaks(text, mask, function):
    names = "|".join([*RELAXED, *BUILTIN])
    for found in re.finditer(rf"\b({names})\(", mask[function.start:function.end]):
        start = function.start + found.start()
        end = closing(mask, start + len(found[1]))
        inside = text[start + len(found[0]):end]
        if found[1] in RELAXED:
            yield "relaxed", [(start, start + len(found[1]), RELAXED[found[1]])]
        else:
            yield "relaxed", [(start, end + 1, BUILTIN[found[1]].format(inside))]
        for half in ("ACQUIRE", "RELEASE") if found[1] in HALVES else ():
            yield "halved", [(start, end + 1, HALVES[found[1]].format(inside, half))]


def terms(mask, start, end):
    """The terms of the condition mask[start:end] at any depth of brackets: (start, end, '&&', '||' or '')."""
    depth, at, operators, parts = 0, start, [], []
    for i in range(start, end):
        depth += (mask[i] in "([{") - (mask[i] in ")]}")
        if depth == 0 and mask[i:i + 2] in ("&&", "||"):
            parts.append((at, i))
            operators.append(mask[i:i + 2])
            at = i + 2
    parts.append((at, end))
    # In a mixture, && is within ||: each term belongs to the operator on a side of it, && first.
    for i, (first, last) in enumerate(parts):
        around = operators[max(i - 1, 0):i + 1]
        operator = "&&" if "&&" in around else "||" if around else ""
        while first < last and mask[first].isspace():
            first += 1
        while last > first and mask[last - 1].isspace():
            last -= 1
        yield first, last, operator
        inner = re.match(r"(?:!|(?:UN)?LIKELY)?\(", mask[first:last])
        if inner and operator and closing(mask, first + inner.end() - 1) == last - 1:
            yield from (t for t in terms(mask, first + inner.end(), last - 1) if t[2])


def term_breaks(text, mask, function, constant):
    body = mask[function.start:function.end]
    for found in re.finditer(r"\b(if|while|return) ?(\()?", body):
        start = function.start + found.end()
        if found[2]:
            end = closing(mask, start - 1)
        elif found[1] == "return":
            end = mask.find(";", start)
        else:
            continue
        if found[1] == "return":
            start = function.start + found.start() + len("return")
            end = mask.find(";", start)
        if end < 0:
            continue
        whole = re.match(r"\s*(?:UN)?LIKELY\(", mask[start:end])
        if whole and closing(mask, start + whole.end() - 1) == end - 1:
            start, end = start + whole.end(), end - 1
        parts = list(terms(mask, start, end))
        for first, last, operator in parts:
            inside = mask[first:last]
            if not reads_shared(inside, constant) or "CHECK" in inside:
                continue
            if operator:
                yield "term", [(first, last, "true" if operator == "&&" else "false")]
            elif found[1] == "if" and re.search(r"\bload_\w+\(", inside):
                yield "term", [(first, last, "false")]


def loop_breaks(text, mask, function):
    at = function.start
    for line in re.finditer(r"^.*$", mask[function.start:function.end], re.M):
        loop = LOOP.match(line[0])
        if loop is None or not ALL.search(loop[4]):
            continue
        start = at + line.start()
        first = start + loop.start(2)
        yield "first-left-out", [(first, first + 1, str(int(loop[2]) + 1))]
        bound = start + loop.start(3)
        yield "last-left-out", [(bound, bound + len(loop[3]), f"{loop[3]} + 1")]


RULES = (lock_breaks, helper_breaks, order_breaks, relaxed_breaks, loop_breaks)


def breaks_of(path, text, constant=frozenset()):
    """All breaks of a file, in the order of its lines."""
    mask, made = masked(text), {}  # by kind and edits: rules may find the same break twice
    for function in functions(mask):
        found = [made_by for rule in RULES for made_by in rule(text, mask, function)]
        for kind, edits in [*found, *term_breaks(text, mask, function, constant)]:
            one = Break(path, text, function.name, kind, edits)
            if one.new != one.old:
                made.setdefault((kind, *one.edits), one)
    made = sorted(made.values(), key=lambda one: (one.line, one.kind, one.id, one.edits))
    times = collections.Counter()
    for one in made:
        content = one.id
        times[content] += 1
        if times[content] > 1:  # the same change elsewhere in the function
            one.id = name_of(f"{content} {times[content]}")
    relaxed = {one.edits[0][0]: one.id for one in made if one.kind == "relaxed"}
    for one in made:
        if one.kind == "halved":
            one.whole = relaxed[one.edits[0][0]]
    return made
