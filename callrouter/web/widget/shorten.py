"""Makes a script small before it is sent: without comments and spare blanks, and with short names inside. Pure.

No general minifier: it knows the JavaScript that `widget.js` is written in. There, strings stand in single quotes, no
template literals are used, every statement ends with a semicolon or a brace (none is empty), and a name that is also
somewhere a property (after a dot, before a colon) or stands in shorthand is left as it is.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
    |(?P<string>'(?:[^'\\\n]|\\.)*')
    |(?P<pattern>(?:(?<=[(,=:\[!&|?{};])|(?<=[(,=:\[!&|?{};]\s))/(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<number>[\d.]+(?:e\d+)?)
    |(?P<sign>=>|\.\.\.|\+\+|--|\*\*|[^\w\s"'`])""",
    re.VERBOSE,
)
WORDS = frozenset(
    [
        "async", "await", "break", "case", "catch", "class", "const", "continue", "default", "delete", "do", "else",
        "false", "finally", "for", "function", "if", "in", "instanceof", "let", "new", "null", "of", "return",
        "switch", "this", "throw", "true", "try", "typeof", "undefined", "var", "void", "while",
    ]
)  # fmt: skip
SHORTER = {"const": "let", "true": "!0", "false": "!1"}
"""Means the same in code that runs."""
LETTERS = "eancotsrwhlVudbDjTiBPkyLpXmgZMSAvQGNHfqxFJCKzEYRUOWI"
"""The most used first. Of their orders one that packs well, found by trying: those of common words come first."""
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
INSIDE = 2
"""Brackets that are open in the body of a function around everything: `((…) => {`."""
Tokens = list[tuple[str, str]]


def shorten(source: str) -> str:
    tokens = [(kind, text.strip()) for kind, text in _tokens(source) if kind != "blank"]
    words = [SHORTER.get(text, text) for text in _renamed(tokens)]
    return _joined(_with_fewer_lets(_with_bare_parameters(words)))


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(source):
        found = TOKEN.match(source, at)
        if found is None:
            raise ValueError(f"no JavaScript that is understood here: {source[at : at + 40]!r}")
        yield found.lastgroup or "", found.group()
        at = found.end()


def _renamed(tokens: Tokens) -> Iterator[str]:
    """The texts with short names for those that are declared here and are nowhere a property, the most used first.

    In a source that is one function, names inside of one of its statements are those of other statements again.
    """
    statements = _statements(tokens)
    fixed = _properties(tokens)
    common = _common(tokens, statements) - fixed
    uses = [Counter(text for kind, text in statement if kind == "name") for statement in statements]
    inner = [
        [name for name, _ in used.most_common() if name in own and name not in common | fixed]
        for used, own in zip(uses, map(_declared, statements), strict=True)
    ]
    weights: Counter[str | int] = Counter()
    for used, names in zip(uses, inner, strict=True):
        weights.update({name: count for name, count in used.items() if name in common})
        weights.update({place: used[name] for place, name in enumerate(names)})
    taken = {name for used, own in zip(uses, inner, strict=True) for name in used if name not in own} - common | WORDS
    free = (name for name in _all_names() if name not in taken)
    short = dict(zip((name for name, _ in weights.most_common()), free, strict=False))
    for statement, names in zip(statements, inner, strict=True):
        here = {name: short[place] for place, name in enumerate(names)}
        yield from (here.get(text) or short.get(text, text) for _, text in statement)


def _statements(tokens: Tokens) -> list[Tokens]:
    """What a function around everything does, statement by statement; one if there is no such function."""
    if [text for _, text in tokens[:2]] != ["(", "("]:
        return [tokens]
    statements: list[Tokens] = [[]]
    depth = 0
    for token in tokens:
        statements[-1].append(token)
        depth += (token[1] in OPENING) - (token[1] in CLOSING)
        if token[1] == ";" and depth == INSIDE:
            statements.append([])
    return statements


def _common(tokens: Tokens, statements: list[Tokens]) -> set[str]:
    """Names that several statements share: parameters of the function around them, and what it declares itself."""
    if len(statements) == 1:
        return set()
    body = next(index for index, (_, text) in enumerate(tokens) if text == "=>")
    own, depth = _parameters(tokens, body - 1), 0
    for index, (_, text) in enumerate(tokens):
        depth += (text in OPENING) - (text in CLOSING)
        if text in {"const", "let"} and depth == INSIDE:
            own |= _bound(tokens, index + 1)
    return own


def _declared(tokens: Tokens) -> set[str]:
    """Names after const, let and function (also several, destructured or as parameters), and parameters of arrows."""
    own: set[str] = set()
    for index, (_, text) in enumerate(tokens):
        if text in {"const", "let"}:
            own |= _bound(tokens, index + 1)
        elif text == "=>":
            own |= _parameters(tokens, index - 1)
        elif text == "catch" and tokens[index - 1][1] != ".":
            own.add(tokens[index + 2][1])
    return own


def _bound(tokens: Tokens, start: int) -> set[str]:
    """From after `const` up to the semicolon (or `of`): names outside of initial values."""
    own, depth, in_value, pattern = set(), 0, False, 0
    for kind, text in tokens[start:]:
        if depth == 0 and text in {";", "of"}:
            break
        if text in "([{":
            depth += 1
            pattern += not in_value
        elif text in ")]}":
            depth -= 1
            pattern -= not in_value
        elif depth == 0 and text == "=":
            in_value = True
        elif depth == 0 and text == ",":
            in_value = False
        elif kind == "name" and not in_value:
            own.add(text)
    return own


def _parameters(tokens: Tokens, end: int) -> set[str]:
    if tokens[end][0] == "name":
        return {tokens[end][1]}
    own, depth = set(), 0
    for kind, text in reversed(tokens[: end + 1]):
        depth += (text in ")]}") - (text in "([{")
        if kind == "name":
            own.add(text)
        if depth == 0:
            break
    return own


def _properties(tokens: Tokens) -> set[str]:
    """Names after a dot or before a colon, in shorthand (`{a, b}`), and of methods."""
    fixed: set[str] = set()
    braces: list[int] = []
    for index, (kind, text) in enumerate(tokens):
        before = tokens[index - 1][1] if index else ""
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if text == "{":
            braces.append(index)
        elif text == "}":
            start = braces.pop()
            inside = tokens[start + 1 : index]
            if inside and all(each == "name" or sign in {",", "..."} for each, sign in inside):
                fixed |= {sign for each, sign in inside if each == "name"}
        elif kind == "name" and _is_property(tokens, index, before, after):
            fixed.add(text)
    return fixed


def _is_property(tokens: Tokens, index: int, before: str, after: str) -> bool:
    begins = before in {"{", ","}
    return before == "." or (begins and (after == ":" or (after == "(" and _is_method(tokens, index + 1))))


def _is_method(tokens: Tokens, start: int) -> bool:
    """Whether the bracket that opens there closes before a brace: `name() {`."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index][1] in "([{") - (tokens[index][1] in ")]}")
        if depth == 0:
            return index + 1 < len(tokens) and tokens[index + 1][1] == "{"
    return False


def _all_names() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(LETTERS, repeat=length))


def _with_bare_parameters(words: list[str]) -> list[str]:
    """`(one) => …` is `one => …`."""
    out: list[str] = []
    for word in words:
        if word == "=>" and out[-1] == ")" and out[-3] == "(" and _is_wordy(out[-2][0]):
            out[-3:] = [out[-2]]
        out.append(word)
    return out


def _with_fewer_lets(words: list[str]) -> list[str]:
    """`let a = 1; let b = 2;` is `let a = 1, b = 2;`."""
    out: list[str] = []
    begins = [""]  # the first word of the statement that is being read, for each bracket that is open
    for word in words:
        if word == "let" and out and out[-1] == ";" and begins[-1] == ";let":
            out[-1] = ","
            begins[-1] = "let"
            continue
        if word == ";":
            begins[-1] = ";" + begins[-1]
        elif begins[-1] in {"", "}"} or begins[-1].startswith(";"):
            begins[-1] = word
        if word in {"(", "[", "{"}:
            begins.append("")
        elif word in {")", "]", "}"}:
            begins.pop()
            if word == "}" and begins[-1] != "let":
                begins[-1] = "}"
        out.append(word)
    return out


def _joined(words: list[str]) -> str:
    """A blank only where two words, or two equal signs such as `+ +`, would grow together."""
    out = [""]
    for text, after in zip(words, [*words[1:], ""], strict=True):
        if text == ";" and after == "}":
            continue
        last = out[-1][-1:]
        if (_is_wordy(last) and _is_wordy(text[0])) or (last == text[0] and text[0] in "+-/"):
            out.append(" ")
        out.append(text)
    return "".join(out)


def _is_wordy(sign: str) -> bool:
    return sign.isalnum() or sign in {"_", "$"}
