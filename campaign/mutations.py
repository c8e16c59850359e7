"""Small changes to a file, each of which might be a bug.

They are mutmut's, and three more: a call is left out, a condition is turned round, an entry of a table is missing. mutmut's own runner
changes functions without decorators only; here the tables, constants and transactions beside them are changed too.

Rules:

1. Texts stay as they are: whatever has a blank in it is for people, or is SQL, which no longer runs if anything is changed.
   Codes have none.
2. Annotations, decorators and docstrings stay as they are.
3. An argument is left out rather than made None; mypy finds the other one.
"""

from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from attrs import frozen
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators


@frozen
class Mutation:
    """One change to one file.

    Attributes:
        function: in which function, with the classes and functions around it; empty outside of any.
        was: the lines that are changed, and what they `becomes`; together with the function they find it again after the code has moved.
        lines: what runs wherever the changed code does; empty where that is at import.
        source: the whole file with the change.
    """

    file: str
    function: str
    was: str
    becomes: str
    lines: range
    source: str


def mutations(tree: Path, file: str) -> list[Mutation]:
    """Return every change to a file."""
    wrapper = MetadataWrapper(cst.parse_module((tree / file).read_text()), unsafe_skip_copy=True)
    visitor = _Visitor(file, wrapper.module)
    wrapper.visit(visitor)
    return visitor.found


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, WhitespaceInclusivePositionProvider)

    def __init__(self, file: str, module: cst.Module) -> None:
        super().__init__()
        self.found: list[Mutation] = []
        self._file = file
        self._module = module
        self._text = module.code.splitlines(keepends=True)
        self._names: list[str] = []
        self._within: list[range] = []
        """The lines of the statements around a node; empty ranges for those that run at import."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator) or _is_text(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)
        if isinstance(node, cst.BaseStatement):
            self._within.append(self._lines(node))
        for part, changed in _changes(node):
            self._note(part, changed)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()
        if isinstance(original_node, cst.BaseStatement):
            self._within.pop()

    def _note(self, node: cst.CSTNode, mutated: cst.CSTNode) -> None:
        position = self.get_metadata(WhitespaceInclusivePositionProvider, node)
        assert isinstance(position, CodeRange)
        first, last = position.start.line - 1, position.end.line
        above, lines, below = self._text[:first], self._text[first:last], self._text[last:]
        head, tail = lines[0][: position.start.column], lines[-1][position.end.column :]
        changed = f"{head}{self._module.code_for_node(mutated)}{tail}"
        was, becomes = _stripped("".join(lines)), _stripped(changed)
        if was != becomes:
            within = self._within[-1] if self._within else range(0)
            self.found.append(Mutation(self._file, ".".join(self._names), was, becomes, within, "".join([*above, changed, *below])))

    def _lines(self, node: cst.BaseStatement) -> range:
        """Return a statement's lines, without the body that it may have; a function's are all of it."""
        position = self.get_metadata(PositionProvider, node)
        assert isinstance(position, CodeRange)
        if isinstance(node, cst.FunctionDef):
            return range(position.start.line, position.end.line + 1)
        if isinstance(node, cst.ClassDef) or not any(self._within):
            return range(0)
        last = position.end.line
        if isinstance(node, cst.BaseCompoundStatement):
            body = self.get_metadata(PositionProvider, node.body)
            assert isinstance(body, CodeRange)
            last = body.start.line
        return range(position.start.line, last + 1)


def _stripped(code: str) -> str:
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


def _changes(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Return what may be put in the place of a node, or of a part of it."""
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):
        yield node, cst.Pass()
    if isinstance(node, cst.If | cst.While) and not isinstance(node.test, cst.Comparison | cst.UnaryOperation):
        yield node.test, cst.UnaryOperation(cst.Not(), node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))
    if isinstance(node, cst.Dict | cst.Set):
        for place in range(len(node.elements) if len(node.elements) > 1 else 0):
            yield node, node.with_changes(elements=[*node.elements[:place], *node.elements[place + 1 :]])
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            made = list(operator(node))
            if isinstance(node, cst.SimpleString):
                made = made[:1]
            yield from ((node, changed) for changed in made if not (isinstance(node, cst.Call) and _is_idle(node, changed)))


def _is_idle(call: cst.Call, changed: cst.CSTNode) -> bool:
    """Tell whether a call's argument was made None, or a text was left out."""
    if not isinstance(changed, cst.Call) or changed.func is not call.func:
        return False
    if len(changed.args) == len(call.args):
        return any(_is_none(new.value) and not _is_none(old.value) for new, old in zip(changed.args, call.args, strict=True))
    kept = {id(argument) for argument in changed.args}
    return any(_is_text(argument.value) for argument in call.args if id(argument) not in kept)


def _is_none(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"


def _is_text(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Assign | cst.AnnAssign):
        return node.value is not None and _is_text(node.value)
    if isinstance(node, cst.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    if isinstance(node, cst.ConcatenatedString):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, cst.SimpleString):
        return " " in node.value or node.value.startswith('"""')
    if isinstance(node, cst.FormattedString):
        return any(isinstance(part, cst.FormattedStringText) and " " in part.value for part in node.parts)
    return False
