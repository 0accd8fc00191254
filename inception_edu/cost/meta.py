"""Every operation without a rule: torch itself says what it gives and costs.

The function runs on the meta device, where tensors have shapes and no data, with
torch's own semantics. The aten operations that it comes down to are watched: those
tell the MACs (by the formulas of torch's flop counter), what is a view, and whether
the result still lies on the grid of its inputs.
"""

import re
from functools import cached_property

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from inception_edu.cost.result import Op
from inception_edu.cost.shapes import ShapeValue, join, storage_of

# Arithmetic that torch's counter has no formula for: 0 would be wrong.
NOT_COUNTED = re.compile(
    "_fft|linalg_(?!vector_norm)|cdist|cholesky|_lu_|triangular|_trilinear|conv_tbc"
    "|^(addmv|mv|dot|vdot|addr|ger)$|rnn"
)
ON_THE_GRID = {"cat", "clone", "copy_", "_to_copy"}
KINDS = {"scaled_dot_product_attention": "attention"}
REORDERING = {"permute", "transpose", "t"}


class AtenCalls(TorchDispatchMode):
    """The aten operations that run inside, and the MACs of those with a formula."""

    def __init__(self):
        super().__init__()
        self.calls, self.macs = [], 0

    @cached_property
    def formulas(self):
        from torch.utils.flop_counter import flop_registry  # with CUDA, 80 MB of triton

        return flop_registry

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.aten._convolution.default:  # old meta kernels lack it
            function, args = torch.ops.aten.convolution.default, args[:9]
        packet = function._overloadpacket
        if packet not in self.formulas:
            with self:
                answer = function.decompose(*args, **kwargs)
            if answer is not NotImplemented:
                return answer
        answer = function(*args, **kwargs)
        self.calls.append(function)
        if packet in self.formulas:
            self.macs += self.formulas[packet](*args, **kwargs, out_val=answer) // 2
        return answer

    @property
    def names(self):
        return {call._overloadpacket.__name__ for call in self.calls}

    @property
    def known(self):
        """Whether `macs` is all there is to count."""
        return all(
            call.namespace in ("aten", "prims", "prim")
            and (
                call._overloadpacket in self.formulas
                or not NOT_COUNTED.search(call._overloadpacket.__name__)
            )
            for call in self.calls
        )

    @property
    def write(self):
        """Whether one of them changes what it is given."""
        return any(call._schema.is_mutable for call in self.calls)


class MetaRun:
    """One call of a function, with every tensor replaced by one on meta.

    With `keep_indices` real tensors of whole numbers and masks stay what they are.
    `made` are the meta tensors in `answer`, `new` those that were not given. `given`
    tells by its id which of the model's tensors a meta tensor stands for, `owners` by
    its storage whose memory it has. `changed` is the first of the model's tensors in
    the answer, if the function has written; else None.
    """

    def __init__(self, function, name, args, kwargs, keep_indices=False):
        pairs = {}

        def to_meta(leaf):
            if isinstance(leaf, torch.Tensor):
                real = type(leaf) is not ShapeValue and not leaf.is_floating_point()
                if keep_indices and real:
                    return leaf
                if id(leaf) not in pairs:
                    sizes = leaf.sizes if type(leaf) is ShapeValue else leaf.shape
                    meta = torch.empty(sizes, dtype=leaf.dtype, device="meta")
                    pairs[id(leaf)] = meta, leaf
                return pairs[id(leaf)][0]
            if isinstance(leaf, torch.device) or (name == "to" and type(leaf) is str):
                return torch.device("meta")
            return leaf

        args, kwargs = tree_map(to_meta, (args, kwargs))
        if isinstance(kwargs.get("device"), str):
            kwargs["device"] = "meta"
        with torch._C.DisableTorchFunction(), AtenCalls() as self.calls:
            self.answer = function(*args, **kwargs)
        self.pairs = list(pairs.values())  # which keeps the ids
        self.given = {id(meta): tensor for meta, tensor in self.pairs}
        self.owners = {storage_of(meta): tensor for meta, tensor in self.pairs}
        self.made = [leaf for leaf in tree_leaves(self.answer) if is_on_meta(leaf)]
        self.new = [meta for meta in self.made if id(meta) not in self.given]
        back = [self.given[id(meta)] for meta in self.made if id(meta) in self.given]
        self.changed = back[0] if back and self.calls.write else None

    @property
    def new_bytes(self):
        """The memory that the answer takes beyond that of what was given."""
        fresh = [meta for meta in self.made if storage_of(meta) not in self.owners]
        return sum(meta.numel() * meta.dtype.itemsize for meta in fresh)

    def op(self, name, shape, spans):
        """The `Op` of what has run."""
        kind = "cat" if name.endswith("stack") and "cat" in self.calls.names else name
        macs, known = self.calls.macs, self.calls.known
        return Op(KINDS.get(kind, kind), shape, spans, macs, known=known)

    def spans_after(self, values, shape):
        """What the answer sees of the input; None where it is unclear."""
        on_the_grid = all(map(stays_on_the_grid, self.calls.calls))
        if not on_the_grid or self.calls.names & REORDERING:
            return None
        values = [value for value in values if value.dim() == len(shape)]
        spans = join(tuple([value.spans for value in values])) if values else None
        for span in spans or ():
            longest = max(value.sizes[span.dim] for value in values)
            if span.dim >= 0 and longest != shape[span.dim]:
                return None
        return spans


def is_on_meta(leaf):
    return isinstance(leaf, torch.Tensor) and leaf.is_meta


def stays_on_the_grid(call):
    """Whether what an aten call gives lies on the grid of what it was given."""
    views = [result.alias_info for result in call._schema.returns]
    return (
        torch.Tag.pointwise in call.tags
        or call._overloadpacket.__name__ in ON_THE_GRID
        or (bool(views) and all(view and not view.is_write for view in views))
    )
