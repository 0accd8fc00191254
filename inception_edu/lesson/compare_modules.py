"""Exercises whose candidate builds a torch module: compared by what it computes.

The module runs in eval and in train mode with random weights and statistics, and the
solution with the weights that the module was seen to use. Outputs and gradients must
agree, so any way of writing the module is right.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, permutations

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.lesson.compare import in_words
from inception_edu.lesson.errors import GRADIENTS, WRONG_DIMENSION, Problem, brief
from inception_edu.lesson.exercise import Exercise, Mistake, exercise, run
from inception_edu.lesson.recorder import Recorder, leaves, noise, randomize
from inception_edu.lesson.reference import (
    Convolutions,
    arrangements,
    concatenated,
    near_miss,
)
from inception_edu.modules import unwrapped

NEAR = 0.02  # of a gradient's norm: a ReLU may switch when rounded in another way
RELU_FIRST = "one ReLU too many: your module takes the ReLU of its input"
NOT_APPLICABLE = (RuntimeError, ValueError, IndexError, Problem)  # to this module

ACTIVATIONS = {
    "ReLU6": F.relu6,
    "leaky ReLU": F.leaky_relu,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "ELU": F.elu,
    "a sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "hard swish": F.hardswish,
    "the absolute value": torch.abs,
}
WRONG_JOINS = {
    "concatenate the branches, do not add them": [lambda b: sum(b.values())],
    "`torch.cat` joins along a dimension; `torch.stack` makes a new one": [
        lambda b: torch.stack([*b.values()], 1)
    ],
    "ReLU follows the convolutions only, neither the pool nor the concatenation": [
        lambda b: F.relu(concatenated(b))
    ],
    WRONG_DIMENSION: [lambda b, d=d: torch.cat([*b.values()], d) for d in (0, 2, 3)],
}


@dataclass(frozen=True, eq=False, repr=False)
class ModuleExercise(Exercise):
    """The candidate is a class or function that builds an `nn.Module`.

    `solution(x, conv, *args)` computes the answer, where `conv` (see `Convolutions`)
    calls the candidate's own layers. `note_on_norms` is shown with a right answer that
    has batch norm.
    """

    tolerance: float = 1e-4
    note_on_norms: str = ""

    EXTRA = 2

    @cached_property
    def mistakes(self):
        """The exercise's own mistakes and those that every module allows."""

        def after_relu(x, *rest):
            return self.solution(F.relu(x), *rest)

        conv = self.on_shapes(self.cases[0])
        found = super().mistakes
        for hint, options in common_mistakes(conv.shapes, conv.branches).items():
            found[hint] = [Mistake(self.solution, one) for one in options]
        return found | {RELU_FIRST: [Mistake(after_relu)]}

    def on_shapes(self, case, function=None, **options):
        """The `Convolutions` that notes the layers' shapes and the branches' names."""
        conv = Convolutions(**options)
        with torch.no_grad():
            (function or self.solution)(torch.zeros(case.image), conv, *case.args)
        return conv

    # ---- what the candidate does

    def observe(self, candidate, case):
        """The `Recorder` of the candidate's module in eval mode."""
        module = unwrapped(self.call_on(candidate, case))
        if not isinstance(module, nn.Module):
            raise Problem(
                f"your function returned {in_words(module)}, not an nn.Module",
                "`return` an instance of a class that inherits from nn.Module",
            )
        first = Recorder()
        try:
            with first:  # lazy layers get their weights
                forward(module.eval(), noise_image(case))
        except Problem as problem:
            shapes = self.on_shapes(case).shapes
            ran = [layer.shape for layer in first.layers]
            lost = [name for name, shape in shapes.items() if shape not in ran]
            one_left = len(lost) == 1 and len(ran) == len(shapes) - 1
            if one_left and all(f"({n})" in problem.what for n in shapes[lost[0]][:2]):
                # its two widths are what does not fit
                problem.hint = f"`{lost[0]}` did not run before this: is it missing?"
            problem.hint = near_miss(lost, first.layers, shapes) or problem.hint
            raise
        randomize(first)
        return run_once(module.eval(), noise_image(case))

    # ---- what it should do

    def verify(self, candidate, case, got):
        self.compare(case, got)
        try:
            self.compare(case, run_once(got.module.train(), noise_image(case)))
        except Problem as problem:
            problem.what, problem.values_right = f"in train mode, {problem.what}", True
            problem.hint = (
                "in eval mode it is right: look for dropout, noise and code that "
                "depends on `self.training`"
            )
            raise
        if got.unused:
            raise Problem(
                "a parameter of your module is never used",
                "remove the layer that `forward` does not call",
                values_right=True,
            )

    def readings(self, case, recorder, function, **options):
        """A `Convolutions` for each way to read a candidate's fused layers."""
        shapes = self.on_shapes(case, function).shapes
        for fused in arrangements(recorder.layers, shapes):
            yield Convolutions(recorder, shapes, fused, **options)

    def compare(self, case, recorder):
        """Raise the Problem with a pass, unless some reading fits."""
        problems = []
        for conv in self.readings(case, recorder, self.solution):
            try:
                return self.compare_with(conv, case, recorder)
            except Problem as problem:
                problems.append(problem)
        raise problems[0]

    def compare_with(self, conv, case, recorder):
        image = noise_image(case).requires_grad_()
        with torch.enable_grad():
            expected = self.solution(image, conv, *case.args)
        if problem := self.gap(expected, recorder.output):
            self.locate(problem, conv.branches, expected, recorder)
            raise problem
        for layer in recorder.layers:
            if layer not in conv.used:
                raise Problem(f"one layer too many: {layer}")
        loss = (expected * noise(8, *expected.shape)).sum()
        (wanted,) = torch.autograd.grad(loss, image)
        found = recorder.gradient
        if recorder.module.training and found is not None:
            found = wanted  # which knows nothing of a batch's statistics
        if recorder.lost or (wanted - found).norm() > NEAR * wanted.norm():
            what = "the output is right, a gradient is not"
            raise Problem(what, GRADIENTS, values_right=True)

    def locate(self, problem, branches, expected, recorder):
        """Set the hint of a wrong output: which branches it concerns, or why."""
        got = recorder.output
        if recorder.norm_misplaced:
            problem.hint = (
                "a batch norm stands elsewhere than directly after a convolution, "
                "before its ReLU"
            )
        elif got.shape == expected.shape and len(branches) > 1:
            widths = [branch.shape[1] for branch in branches.values()]
            parts = map(self.gap, expected.split(widths, 1), got.split(widths, 1))
            wrong = [name for name, gap in zip(branches, parts, strict=True) if gap]
            if len(wrong) < len(branches):
                names = " and ".join(wrong)
                problem.hint = f"look at {names}: the other branches are right"
        elif got.dim() == expected.dim() == 4 and got.shape[2:] != expected.shape[2:]:
            problem.hint = "the grid differs: check stride and padding of every layer"

    def makes(self, mistake, result):
        if result.got is None:  # it raised: would the mistake do the same?
            try:
                self.on_shapes(result.case, mistake.function, **mistake.options)
            except NOT_APPLICABLE as error:
                return brief(error) == getattr(result.problem, "raised", None)
            return False
        answers = self.answers(mistake, result.case, result.got)
        return not all(self.gap(answer, result.got.output) for answer in answers)

    def answers(self, mistake, case, recorder):
        """What a mistake gives with the candidate's layers, read in up to six ways."""
        with suppress(*NOT_APPLICABLE):
            function, options = mistake.function, mistake.options
            readings = self.readings(case, recorder, function, **options)
            for conv in islice(readings, 6):
                with suppress(*NOT_APPLICABLE), torch.no_grad():
                    yield function(noise_image(case), conv, *case.args)

    def note(self, results):
        has_norm = any(layer.steps for layer in results[0].got.layers)
        return self.note_on_norms if has_norm else ""


def forward(module, image):
    """What the module returns for an image, which it may not change."""
    before = image.detach().clone()
    output = run(module, (image,), "forward(x)")
    if not torch.equal(image, before):
        raise Problem(
            "forward changed its input",
            "an operation works in place on the input, such as "
            "`nn.ReLU(inplace=True)` or `+=`: the other branches then read the "
            "changed values",
        )
    if not torch.is_tensor(output):
        hint = "return one tensor: `torch.cat(outputs, dim=1)` joins several"
        hint = "add a `return` to `forward`" if output is None else hint
        raise Problem(f"forward returned {in_words(output)}, not a tensor", hint)
    if output.dtype != image.dtype:
        hint = f"compute in the type of the input, {image.dtype}"
        hint = hint if output.is_floating_point() else "return values, not their places"
        raise Problem(f"forward returned {output.dtype}", hint)
    return output


def run_once(module, image):
    """The `Recorder` of one pass forward and back; raises Problem."""
    image.requires_grad_()
    with Recorder() as recorder:
        output = forward(module, image.clone())
    module.zero_grad()
    recorder.layers = [one for one in recorder.layers if one.output is not None]
    for layer in recorder.layers:
        if layer.output.requires_grad:
            layer.output.retain_grad()
    if output.requires_grad:
        (output * noise(8, *output.shape)).sum().backward()
    recorder.drop_unread()
    recorder.module, recorder.output = module, output.detach()
    recorder.gradient = image.grad
    used = [leaf for layer in recorder.layers for leaf in leaves(layer.operand)]
    recorder.lost = any(tensor.grad is None for tensor in (image, *used))
    learning = [p for p in module.parameters() if p.requires_grad]
    recorder.unused = any(parameter.grad is None for parameter in learning)
    check_learning(recorder)
    return recorder


def check_learning(recorder):
    """Raise a Problem for a layer that an optimizer could not train."""
    named = dict(recorder.module.named_parameters())
    own, seen = {*map(id, named.values())}, set()
    used = [(f"{layer} layer", layer.operand) for layer in recorder.layers]
    used += [("batch norm", norm["weight"]) for norm in recorder.norms]
    used = [(what, weight) for what, weight in used if weight is not None]
    for name, weight in [*((f"of the {w}", t) for w, t in used), *named.items()]:
        if not weight.requires_grad and weight.numel() > 1:
            what = f"the weight {name} does not learn"
            raise Problem(what, GRADIENTS, values_right=True)
    for what, weight in used:
        if not any(id(leaf) in own for leaf in leaves(weight)):
            raise Problem(
                f"the {what} is not registered in your module",
                "make layers and nn.Parameter in `__init__`, as attributes; in "
                "place of a plain list or dict use nn.ModuleList or nn.ModuleDict",
            )
    for layer in recorder.layers:
        if layer.weight.data_ptr() in seen:
            raise Problem(
                f"the {layer} layer runs twice",
                "make a layer of its own for each convolution",
            )
        seen.add(layer.weight.data_ptr())
    for norm in recorder.norms:
        if norm["training"] != recorder.module.training:
            raise Problem(
                "batch norm takes its statistics from the wrong place",
                "in train mode they are the batch's, in eval mode the running ones: "
                "leave out `track_running_stats=False`, and `.eval()` in `forward`",
            )
        if norm["eps"] > 0.01:
            raise Problem(
                f"batch norm has eps={norm['eps']:g}",
                "eps only prevents a division by zero: 1e-3 in the released networks",
            )


def noise_image(case):
    return 8 * noise(7, *case.image)


def common_mistakes(labels, branches):
    """Hint -> options of `Convolutions`, for these layers and these branches."""

    def joins(*names):
        return {"join": lambda b: concatenated({name: b[name] for name in names})}

    found = {"no ReLU is there: one follows every convolution": [{"act": lambda x: x}]}
    for name, function in ACTIVATIONS.items():
        found[f"the activation is {name}, not ReLU"] = [{"act": function}]
    for label in labels if len(labels) > 1 else ():
        found[f"the ReLU after `{label}` is missing"] = [{"linear": (label,)}]
    for name in branches:
        hint = f"the branch `{name}` is missing from the concatenation"
        found[hint] = [joins(*(other for other in branches if other != name))]
    if branches:
        hint = f"the branches are in another order: expected {', '.join(branches)}"
        _, *orders = permutations(branches)
        found[hint] = [joins(*order) for order in orders]
        for hint, ways in WRONG_JOINS.items():
            found[hint] = [{"join": join} for join in ways]
    return found


module_exercise = partial(exercise, kind=ModuleExercise)
