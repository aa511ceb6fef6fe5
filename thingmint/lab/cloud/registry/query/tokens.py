"""A query's text cut into words, numbers, strings and signs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from thingmint.lab.cloud.registry.query.tree import QueryProblem

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<hex>0[xX][0-9A-Fa-f]+)
    | (?P<number>\d+(\.\d+)?([eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | \[\[ (?P<escaped>[^\[\]]+) \]\]
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<sign><=|>=|<>|!=|[-=<>+*/%(),.\[\];])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL | re.ASCII)

Kind = Literal["word", "name", "constant", "sign", "end"]


@dataclass(frozen=True)
class Token:
    kind: Kind
    text: str  # of a word as it was written
    value: Any = None  # of a constant
    at: int = 0

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words of the language, which ignores case."""
        return self.kind == "word" and self.text.lower() in words

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.text in signs


def cut(text: str) -> list[Token]:
    """Raises QueryProblem."""
    return [*_cut(text), Token("end", "the end", at=len(text))]


def _cut(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise QueryProblem(f"nothing of the language begins with {text[at : at + 20]!r}")
        kind, lexeme = str(found.lastgroup), found.group()
        match kind:
            case "space":
                pass
            case "hex":
                yield Token("constant", lexeme, int(lexeme, 16), at)
            case "number":
                yield Token("constant", lexeme, _number(lexeme), at)
            case "word":
                yield Token("word", lexeme, at=at)
            case "escaped":
                yield Token("name", found["escaped"], at=at)
            case "string":
                yield Token("constant", lexeme, _string(lexeme[1:-1]), at)
            case _:
                yield Token("sign", lexeme, at=at)
        at = found.end()


def _number(lexeme: str) -> int | float:
    try:
        return int(lexeme) if lexeme.isdigit() else float(lexeme)
    except ValueError:  # Python reads no integer of thousands of digits
        raise QueryProblem("a number is too long") from None


def _string(inner: str) -> str:
    def plain(escape: re.Match[str]) -> str:
        code, character = escape.groups()
        if code:
            return chr(int(code, 16))
        if character not in "'\"\\":
            raise QueryProblem(f"there is no escape \\{character}")
        return str(character)

    value = _ESCAPE.sub(plain, inner)
    try:
        # Two escapes may be the halves of one character.
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise QueryProblem("a string has half a character") from None
