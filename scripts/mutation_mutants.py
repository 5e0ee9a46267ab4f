"""Makes the mutants for scripts/mutation: mutmut's own changes, also where mutmut makes none.

mutmut leaves decorated functions and everything outside functions alone. Here decorated functions
are mutated like any other. Outside functions, where the package keeps the numbers that a battery's
safety rests on, each number is doubled and halved, each flag and operator turned, and each element
of a collection left out; texts are names there and stay.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.file_mutation import NEVER_MUTATE_FUNCTION_CALLS
from mutmut.mutation.mutators import mutation_operators, operator_name, operator_swap_op

# What a class is made of, not what it does.
STRUCTURE = ("__all__", "_", "SESSION_NAMESPACE")


@dataclass(frozen=True)
class Mutant:
    """One change. `function` is the path to the function changed, empty outside of any."""

    module: str
    function: str
    number: int
    lines: tuple[int, int]
    """First and last line of the statement that is changed."""
    signature: bool
    """A parameter's default is changed, so that every call feels it."""
    code: str
    """The changed function, without decorators; outside functions the whole module."""
    before: str
    after: str

    @property
    def name(self) -> str:
        """What to call it by."""
        return f"{self.module}:{self.function or '-'}:{self.number}"


def scaled(node: cst.BaseNumber) -> Iterable[cst.BaseNumber]:
    """Yield a number doubled and halved; 1 in place of 0."""
    if not isinstance(node, cst.Integer | cst.Float):
        return
    value = node.evaluated_value
    whole = isinstance(node, cst.Integer)
    for other in (value * 2, value // 2 if whole else value / 2) if value else (value + 1,):
        yield node.with_changes(value=repr(other))


def without_one(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """Yield a collection without each of its elements in turn."""
    if isinstance(node, cst.Tuple | cst.List | cst.Set | cst.Dict) and len(node.elements) > 1:
        for i in range(len(node.elements)):
            rest = [*node.elements[:i], *node.elements[i + 1 :]]
            if len(rest) == 1 and isinstance(node, cst.Tuple):
                rest[0] = rest[0].with_changes(comma=cst.Comma())
            yield node.with_changes(elements=rest)


OUTSIDE = (
    (cst.BaseNumber, scaled),
    (cst.Name, operator_name),
    (cst.CSTNode, operator_swap_op),
    (cst.CSTNode, without_one),
)


class Found(NamedTuple):
    """A node, what may take its place, and where it stands."""

    node: cst.CSTNode
    changed: cst.CSTNode
    function: tuple[cst.FunctionDef, str] | None
    lines: tuple[int, int]
    signature: bool


class Collector(cst.CSTVisitor):
    """Walks a module and notes what can be changed: node, changed node, function, statement."""

    METADATA_DEPENDENCIES = (ParentNodeProvider, PositionProvider)

    def __init__(self) -> None:
        self.found: list[Found] = []
        self._classes: list[str] = []
        self._functions: list[tuple[cst.FunctionDef, str]] = []
        self._statements: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note the changes of a node, and go on below it."""
        if self._left_alone(node):
            return False
        if isinstance(node, cst.BaseSmallStatement | cst.BaseCompoundStatement | cst.MatchCase):
            self._statements.append(node)
        if isinstance(node, cst.ClassDef):
            self._classes.append(node.name.value)
        elif isinstance(node, cst.FunctionDef):
            path = ".".join((*self._classes, node.name.value))
            self._functions.append(self._functions[0] if self._functions else (node, path))
        self._note(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Go back to the statement, class and function around."""
        if self._left_alone(original_node):
            return
        if isinstance(
            original_node, cst.BaseSmallStatement | cst.BaseCompoundStatement | cst.MatchCase
        ):
            self._statements.pop()
        if isinstance(original_node, cst.ClassDef):
            self._classes.pop()
        elif isinstance(original_node, cst.FunctionDef):
            self._functions.pop()

    def _note(self, node: cst.CSTNode) -> None:
        function = self._functions[0] if self._functions else None
        if not self._statements:
            return
        for kind, operator in OUTSIDE if function is None else mutation_operators:
            if isinstance(node, kind):
                statement = self._statements[-1]
                lines, signature = self._lines(statement), isinstance(statement, cst.FunctionDef)
                for changed in operator(node):
                    self.found.append(Found(node, changed, function, lines, signature))

    def _left_alone(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
            return True
        if m.matches(node, m.Call(func=m.OneOf(*map(m.Name, NEVER_MUTATE_FUNCTION_CALLS)))):
            return True
        if self._functions:
            return False
        if m.matches(node, m.BinaryOperation(operator=m.BitOr())):  # a type of several
            return True
        # `field(init=False)` is structure, and so is all else that a call is told by keyword, but
        # for the two that carry numbers.
        if m.matches(node, m.Arg(keyword=m.Name())):
            keyword = node.keyword.value
            call = self.get_metadata(ParentNodeProvider, node)
            return m.matches(call, m.Call(func=m.Name("field"))) and keyword != "default"
        names = m.OneOf(*map(m.Name, STRUCTURE))
        return m.matches(node, m.Assign(targets=[m.AssignTarget(target=names)])) or m.matches(
            node, m.AnnAssign(target=names)
        )

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return the lines of a statement; of a compound one those before its body."""
        position = self.get_metadata(PositionProvider, node)
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        if isinstance(body, cst.IndentedBlock):
            body = body.body
        if not isinstance(body, Sequence) or not body:
            return position.start.line, position.end.line
        first = self.get_metadata(PositionProvider, body[0]).start.line
        return position.start.line, max(position.start.line, first - 1)


def mutants_of(path: Path, module: str) -> list[Mutant]:
    """Return all mutants of a source file."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text(encoding="utf-8")))
    collector = Collector()
    wrapper.visit(collector)
    source = wrapper.module
    made = []
    for number, (node, changed, function, lines, signature) in enumerate(collector.found):
        if function is None:
            where, code = "", source.deep_replace(node, changed).code
        else:
            where = function[1]
            bare = function[0].with_changes(decorators=[], leading_lines=[])
            code = cst.Module([bare.deep_replace(node, changed)]).code
        made.append(
            Mutant(
                module=module,
                function=where,
                number=number,
                lines=lines,
                signature=signature and function is not None,
                code=code,
                before=source.code_for_node(node).strip(),
                after=source.code_for_node(changed).strip(),
            )
        )
    return made
