"""Exercises whose candidate builds a torch module: compared by what it computes.

The module runs in eval and in train mode with random weights and statistics. A
reference in plain functions then computes the same with the weights that the module
was seen to use, found by what each layer reads and not by name. Outputs and gradients
must agree, so any way of writing the module is right.
"""

import copy
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

import torch
from torch import nn

from inception_edu.lesson.compare import show, tensor_difference, unchanged
from inception_edu.lesson.errors import Problem
from inception_edu.lesson.exercise import Exercise, exercise, known_mistakes, run
from inception_edu.lesson.module_mistakes import common_mistakes
from inception_edu.lesson.recorder import Recorder, leaves, noise, randomize
from inception_edu.lesson.reference import Net, arrangements, near_misses

GRADIENT_TOLERANCE = 1e-3  # of the gradient's norm
NOT_HERE = (RuntimeError, ValueError, IndexError, Problem)  # a mistake without sense


@dataclass(frozen=True, eq=False)
class ModuleExercise(Exercise):
    """The candidate is a class or function that builds an `nn.Module`.

    `right(x, net, *args)` computes the answer, where `net` (see `Net`) calls the
    candidate's own layers. `note_on_norms` is shown with a right answer that has
    batch norm.
    """

    tolerance: float = 1e-4
    note_on_norms: str = ""

    OWN = 2

    @property
    def mistakes(self):
        return all_mistakes(self)

    def on_shapes(self, case, function=None):
        """The `Net` that notes the shapes of the layers and the names of branches."""
        net = Net()
        with torch.no_grad():
            image = torch.empty(case.image, device="meta")
            (function or self.right)(image, net, *case.args)
        return net

    # ---- what the candidate does

    def observe(self, candidate, case):
        """A `Recorder` of each mode; a Problem in place of the one in train mode."""
        if isinstance(candidate, nn.Module):
            raise Problem(
                f"this is {show(candidate)}",
                "pass the class or the function that builds it: "
                f"`ie.check.{self.name}({type(candidate).__name__})`",
            )
        args = copy.deepcopy(case.args)
        module = checked_module(run(candidate, args, self.call))
        recorder = Recorder()
        try:
            with torch.no_grad(), recorder:  # lazy layers get their weights
                self.forward(module.eval(), case)
        except Problem as problem:
            shapes = self.on_shapes(case).shapes
            problem.hint = near_misses(shapes, recorder.layers) or problem.hint
            raise
        if not unchanged(case.args, args):
            raise Problem(
                "the inputs were changed",
                "your code writes into the widths it is given: copy them first",
            )
        randomize(recorder)
        passes = {"eval": self.run_once(module.eval(), case)}
        self.check_learning(module, passes["eval"])
        try:
            passes["train"] = self.run_once(module.train(), case)
        except Problem as problem:
            passes["train"] = problem
        return passes

    def forward(self, module, case, image=None):
        image = noise_image(case) if image is None else image
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
            raise Problem(f"forward returned {show(output)}, not a tensor", hint)
        if output.dtype != image.dtype:
            hint = f"compute in the type of the input, {image.dtype}"
            raise Problem(f"forward returned {output.dtype}", hint)
        return output

    def run_once(self, module, case):
        image = noise_image(case).requires_grad_()
        with Recorder() as recorder:
            output = self.forward(module, case, image.clone())
        module.zero_grad()
        read = [image, *(layer.weight for layer in recorder.layers)]
        for tensor in read:
            if tensor.requires_grad:
                tensor.retain_grad()  # of a weight that is computed, too
        if output.requires_grad:
            (output * noise(8, *output.shape)).sum().backward()
        recorder.gradients = [tensor.grad for tensor in read]
        recorder.unused = any(
            p.requires_grad and p.grad is None for p in module.parameters()
        )
        recorder.output = output.detach()
        return recorder

    def check_learning(self, module, passed):
        """Raise a Problem for a layer that an optimizer could not train."""
        own = {id(parameter) for parameter in module.parameters()}
        seen = set()
        for layer in passed.layers:
            origins = leaves(layer.weight)
            if not any(id(origin) in own for origin in origins):
                raise Problem(
                    f"the {layer} layer is not registered in your module",
                    "make layers and nn.Parameter in `__init__`, as attributes; in "
                    "place of a plain list or dict use nn.ModuleList or nn.ModuleDict",
                )
            tensors = [t for t in (layer.weight, layer.bias) if t is not None]
            if not all(tensor.requires_grad for tensor in tensors):
                raise Problem(
                    f"the weights of the {layer} layer do not learn",
                    "leave out `.detach()`, `torch.no_grad()` and "
                    "`requires_grad = False`",
                    right=True,
                )
            if layer.weight.data_ptr() in seen:
                raise Problem(
                    f"the {layer} layer runs twice",
                    "make a layer of its own for each convolution",
                )
            seen.add(layer.weight.data_ptr())

    # ---- what it should do

    def judge(self, candidate, case, got):
        if problem := self.compare(case, got["eval"]):
            raise problem
        train = got["train"]
        problem = train if isinstance(train, Problem) else self.compare(case, train)
        if problem:
            raise Problem(
                f"in train mode, {problem.what}",
                "in eval mode it is right: look for dropout, noise and code that "
                "depends on `self.training`",
                expected=problem.expected,
                found=problem.found,
                right=True,
            )
        if got["eval"].unused:
            raise Problem(
                "a parameter of your module is never used",
                "remove the layer that `forward` does not call",
                right=True,
            )

    def compare(self, case, passed):
        """The Problem with a pass, or None; the first fused arrangement that fits."""
        problems, shapes = [], self.on_shapes(case).shapes
        for fused in arrangements(passed.layers, shapes):
            try:
                problem = self.compare_with(case, passed, Net(passed, shapes, fused))
            except Problem as missing:
                problem = missing
            if problem is None:
                return None
            problems.append(problem)
        return problems[0]

    def compare_with(self, case, passed, net):
        image = noise_image(case).requires_grad_()
        with torch.enable_grad():
            expected = self.right(image, net, *case.args)
        if problem := tensor_difference(expected, passed.output, self.tolerance):
            self.locate(problem, net.branches, expected, passed)
            return problem
        if left := [i for i in range(len(passed.layers)) if i not in net.labels]:
            return Problem(f"one layer too many: {passed.layers[left[0]]}")
        return self.compare_gradients(passed, net, image, expected)

    def compare_gradients(self, passed, net, image, expected):
        loss = (expected * noise(8, *expected.shape)).sum()
        (wanted,) = torch.autograd.grad(loss, image)
        found, *weights = passed.gradients
        names = [f"the weights of `{name}`" for name in net.labels.values()]
        lost = [n for n, i in zip(names, net.labels, strict=True) if weights[i] is None]
        if found is None or lost:
            what = f"{lost[0] if lost else 'the input'} is missing"
        elif (wanted - found).norm() > GRADIENT_TOLERANCE * wanted.norm():
            what = "the input differs"
        else:
            return None
        return Problem(
            f"the output is right, the gradient of {what}",
            "leave out `.detach()`, `.data` and `torch.no_grad()`: training needs "
            "every gradient",
            right=True,
        )

    def locate(self, problem, branches, expected, passed):
        """Set the hint of a wrong output: which branches it concerns, or why."""
        got = passed.output
        if passed.displaced:
            problem.hint = (
                "batch norm follows its convolution directly, before the ReLU"
            )
        elif got.shape == expected.shape and len(branches) > 1:
            widths = [branch.shape[1] for branch in branches.values()]
            pairs = zip(expected.split(widths, 1), got.split(widths, 1), strict=True)
            differ = [bool(tensor_difference(a, b, self.tolerance)) for a, b in pairs]
            wrong = [name for name, bad in zip(branches, differ, strict=True) if bad]
            if len(wrong) < len(branches):
                names = " and ".join(wrong)
                problem.hint = f"look at {names}: the other branches are right"
        elif got.dim() == expected.dim() == 4 and got.shape[2:] != expected.shape[2:]:
            problem.hint = (
                "the grid differs: check the stride and padding of every layer"
            )

    def answer(self, case, function=None):
        return None  # depends on the candidate's weights: see `makes`

    def makes(self, mistake, result):
        if result.got is None:
            return False
        passed, case = result.got["eval"], result.case
        answers = self.answers(mistake, case, passed)
        return not all(
            tensor_difference(answer, passed.output, self.tolerance)
            for answer in answers
        )

    def answers(self, mistake, case, passed):
        """What a mistake gives with the candidate's layers, read in up to six ways."""
        try:
            function = self.wrong(mistake)
            shapes = self.on_shapes(case, function).shapes
        except NOT_HERE:
            return
        for fused in islice(arrangements(passed.layers, shapes), 6):
            net = Net(passed, shapes, fused, **mistake.net)
            with suppress(*NOT_HERE), torch.no_grad():
                yield function(noise_image(case), net, *case.args)

    def note(self, results):
        layers = results[0].got["eval"].layers
        return self.note_on_norms if any(layer.norm for layer in layers) else ""


@cache
def all_mistakes(exercise):
    """The exercise's own mistakes and those that every module allows."""
    net = exercise.on_shapes(exercise.cases[0])
    return known_mistakes(exercise) | common_mistakes(net.shapes, net.branches)


def checked_module(module):
    """The module itself, or the Problem that it is none."""
    if not isinstance(module, nn.Module):
        hint = "write a class that inherits from nn.Module, or return such a module"
        if module is None:
            hint = "add a `return`"
        if isinstance(module, type):
            hint = "create an instance: call the class"
        raise Problem(f"your function returned {show(module)}, not an nn.Module", hint)
    return module


def noise_image(case):
    return 8 * noise(7, *case.image)


module_exercise = partial(exercise, ModuleExercise)
