"""Python source as HTML, by the standard library's tokenizer."""

import io
import keyword
import tokenize
from itertools import accumulate, pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LITERALS = {"NUMBER", "STRING"}
LITERALS |= {"FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"}


def highlight(source: str) -> SafeString:
    """Return the source, escaped, with its tokens in spans of a class.

    The classes are comment, literal, keyword and name.
    """
    return format_html_join("", "{}", ((piece,) for piece in pieces(source)))


def pieces(source: str) -> list[str]:
    """Return the source cut at its tokens: text, and HTML where it is safe."""
    lines = source.splitlines(keepends=True)
    starts = [0, *accumulate(len(line) for line in lines)]
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    result, position = [], 0
    for before, token in pairwise([tokens[0], *tokens]):
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        painted = paint(source[start:end], class_of(token, before.string))
        result += [source[position:start], painted]
        position = end
    return result


def class_of(token: tokenize.TokenInfo, before: str) -> str:
    """Return a token's CSS class, given the text of the one before it."""
    if token.type == tokenize.COMMENT:
        return "comment"
    if tokenize.tok_name[token.type] in LITERALS:
        return "literal"
    if token.type == tokenize.NAME and before in {"def", "class", "@"}:
        return "name"
    starts_line = not before.strip()
    is_soft = starts_line and token.string in {"match", "case"}
    return "keyword" if is_soft or keyword.iskeyword(token.string) else ""


def paint(text: str, css_class: str) -> str:
    """Return the text in a span of its class, or as it is without one."""
    if not css_class:
        return text
    return format_html('<span class="{}">{}</span>', css_class, text)
