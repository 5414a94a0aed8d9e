"""What can be wrong with a line: every single change the operators know, found in a syntax tree.

Lives here: the operators and the list of mutants of a file.  May not live here: planting or judging
one.  Left out are words for people (log lines, docstrings, annotations) and assertions of our own:
they do not decide.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_COMPARE: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_BINARY: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
# Calls whose arguments are words for people.
_TALK: Final = frozenset({"Log", "Refusal", "busy", "_misfit", "Reason", "append", "Skip"})
_TALKING: Final = frozenset({"Log", "Refusal", "_misfit", "refuse"})
_QUIET_NAMES: Final = frozenset({"__slots__", "__all__"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the `node`-th node of the file's tree in walking order, and which variant."""

    file: str
    line: int
    where: str
    change: str
    node: int
    variant: int

    @property
    def key(self) -> str:
        """How a page names it: without the line number, which moves."""
        return f"{self.file}: {self.where}: {self.change}"


def _nodes(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


class _Places(ast.NodeVisitor):
    """Which nodes count, and inside which function each lies."""

    def __init__(self) -> None:
        self.where: dict[int, str] = {}
        self._stack: list[str] = []

    def generic_visit(self, node: ast.AST) -> None:
        self.where[id(node)] = ".".join(self._stack)
        super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self._stack.append(node.name)
        for statement in node.body[_has_docstring(node.body) :]:
            self.visit(statement)
        self._stack.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._stack.append(node.name)
        for statement in node.body[_has_docstring(node.body) :]:
            self.visit(statement)
        self._stack.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.where[id(node)] = ".".join(self._stack)
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(t, ast.Name) and t.id in _QUIET_NAMES for t in node.targets):
            self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Ours to notice with, not to decide with."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Words."""

    def visit_Import(self, node: ast.Import) -> None:
        """Nothing to decide."""

    visit_ImportFrom = visit_Import  # type: ignore[assignment]  # noqa: N815

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """-1 says "none yet"; another negative number would say the same."""
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            self.where[id(node)] = ".".join(self._stack)
        else:
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _name(node.func) in _TALKING:
            self.where[id(node)] = ".".join(self._stack)
            return
        self.generic_visit(node)


def _has_docstring(body: list[ast.stmt]) -> int:
    first = body[0]
    return int(isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
               and isinstance(first.value.value, str))  # fmt: skip


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _swaps(values: list[ast.expr]) -> list[int]:
    """Indexes whose value differs from the next one's: swapping two rows changes something."""
    shown = ["words" if _is_words(value) else ast.unparse(value) for value in values]
    return [n for n in range(len(values) - 1) if shown[n] != shown[n + 1]]


def _is_words(value: ast.expr) -> bool:
    """A reason that is written out for people; a single word may be a code."""
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and " " in value.value


def variants(node: ast.AST, inside: str) -> list[str]:
    """The changes that are possible at a node, in words."""
    match node:
        case ast.Compare(ops=ops):
            return [f"{_op(op)} → {_op(new())}" for op in ops for new in _COMPARE[type(op)]]
        case ast.BoolOp(op=op):
            return ["and → or" if isinstance(op, ast.And) else "or → and"]
        case ast.UnaryOp(op=ast.Not()):
            return ["not dropped"]
        case ast.BinOp(op=ast.LShift() | ast.RShift(), right=ast.Constant(value=0)):
            return []  # by nothing, both ways are the same
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return [f"{_op(op)} → {_op(_BINARY[type(op)]())}"]
        case ast.AugAssign(op=op) if type(op) in _BINARY:
            return [f"{_op(op)}= → {_op(_BINARY[type(op)]())}=", "deleted"]
        case ast.Constant(value=bool(value)):
            return [f"{value} → {not value}"]
        case ast.Constant(value=int(value)):
            return [f"{value} → {value + 1}", f"{value} → {value - 1}"]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return ["-1 → 0"]
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call()):
            return ["condition negated"]
        case ast.Return(value=ast.Constant(value=str(value))):
            return ["returns another word"]
        case ast.Return(value=ast.Name() | ast.Attribute() | ast.Call() | ast.Tuple()) if inside:
            return ["returns None"]
        case ast.Expr(value=ast.Call() as call) if _name(call.func) not in _TALK and inside:
            return ["deleted"]
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) if _takes_effect(inside):
            return ["deleted"]
        case ast.Continue():
            return ["continue → break"]
        case ast.Break():
            return ["break → continue"]
        case ast.Dict(values=values) if not inside and all(node.keys):
            return [f"rows {n} and {n + 1} swapped" for n in _swaps(values)]
        case ast.List(elts=elements) | ast.Tuple(elts=elements) if not inside and _rows(elements):
            last = [e.elts[-1] for e in elements if isinstance(e, ast.Tuple)]
            return [f"rows {n} and {n + 1} swapped" for n in _swaps(last)]
    return []


def _takes_effect(inside: str) -> bool:
    """Outside of a constructor: an attribute that was never set is an accident, not a decision."""
    return bool(inside) and not inside.endswith("__init__")


def _rows(elements: list[ast.expr]) -> bool:
    return len(elements) > 1 and all(isinstance(e, ast.Tuple) and len(e.elts) > 1 for e in elements)


def _op(op: ast.AST) -> str:
    words = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=",
             "Is": "is", "IsNot": "is not", "In": "in", "NotIn": "not in", "Add": "+", "Sub": "-",
             "Mult": "*", "FloorDiv": "//", "Div": "/", "Mod": "%", "BitAnd": "&", "BitOr": "|",
             "BitXor": "^", "LShift": "<<", "RShift": ">>"}  # fmt: skip
    return words[type(op).__name__]


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    tree = ast.parse(source)
    places = _Places()
    places.visit(tree)
    seen: dict[str, int] = {}
    found = []
    for number, node in enumerate(_nodes(tree)):
        where = places.where.get(id(node))
        line = getattr(node, "lineno", 0)
        if where is None or not line:
            continue
        for variant, words in enumerate(variants(node, where)):
            found.append((line, number, variant, where, f"{_shown(node)}: {words}"))
    for line, number, variant, where, change in sorted(found):
        name = f"{where}: {change}"
        seen[name] = seen.get(name, 0) + 1
        nth = f" (no. {seen[name]})" if seen[name] > 1 else ""
        yield Mutant(file, line, where or "module", change + nth, number, variant)


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return "if " + ast.unparse(node.test)[:70]
    return " ".join(ast.unparse(node).split())[:70]


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The tree with the change made."""
    tree = ast.parse(source)
    target = _nodes(tree)[mutant.node]
    replacement = _changed(target, mutant.variant)
    if replacement is not target:
        _Swap(target, replacement).visit(tree)
    return ast.fix_missing_locations(tree)


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        """Put the new node in the place of the old one."""
        if node is self.old:
            return ast.copy_location(self.new, node)
        return super().visit(node)


def _changed(node: Any, variant: int) -> ast.AST:
    match node:
        case ast.Compare():
            flat = [(n, new) for n, op in enumerate(node.ops) for new in _COMPARE[type(op)]]
            n, new = flat[variant]
            node.ops[n] = new()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.USub()):
            return ast.Constant(0)
        case ast.UnaryOp():
            return node.operand
        case ast.AugAssign() if variant == 1:
            return ast.Pass()
        case ast.BinOp() | ast.AugAssign():
            node.op = _BINARY[type(node.op)]()
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant():
            assert isinstance(node.value, int)
            node.value += 1 if variant == 0 else -1
        case ast.If():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return():
            word = isinstance(node.value, ast.Constant)
            node.value = ast.Constant("another word" if word else None)
        case ast.Expr() | ast.Assign():
            return ast.Pass()
        case ast.Continue():
            return ast.Break()
        case ast.Break():
            return ast.Continue()
        case ast.Dict():
            n = _swaps(node.values)[variant]
            node.values[n], node.values[n + 1] = node.values[n + 1], node.values[n]
        case ast.List() | ast.Tuple():
            rows: list[ast.Tuple] = node.elts  # type: ignore[assignment]
            n = _swaps([row.elts[-1] for row in rows])[variant]
            a, b = rows[n].elts, rows[n + 1].elts
            a[-1], b[-1] = b[-1], a[-1]
    return node  # type: ignore[no-any-return]
