"""What torchvision and timm call our stages and branches.

A library's key is `stage.branch.leaf`, such as `Mixed_5b.branch5x5_1.conv.weight`.
Two tables a network translate it: its stages, and the branches in them.
"""

import re

from inception_edu.networks.googlenet import TABLE_1

# A library's branches, by the name of our stage: theirs -> ours.
GOOGLENET_TORCHVISION = {
    r"inception_\w+": {
        "branch1": "1x1",
        "branch2.0": "3x3.reduce",
        "branch2.1": "3x3.3x3",
        "branch3.0": "5x5.reduce",
        "branch3.1": "5x5.5x5",
        "branch4.1": "pool.proj",
    },
    r"aux_heads\.\w+": {"conv": "proj", "fc1": "fc1", "fc2": "fc2"},
}
V3_POOL = {"branch1x1": "1x1", "branch_pool": "pool.proj"}
V3_TORCHVISION = {
    r"mixed_5\w": {
        "branch5x5_1": "5x5.reduce",
        "branch5x5_2": "5x5.5x5",
        "branch3x3dbl_1": "double_3x3.reduce",
        "branch3x3dbl_2": "double_3x3.3x3_a",
        "branch3x3dbl_3": "double_3x3.3x3_b",
        **V3_POOL,
    },
    r"mixed_6a": {
        "branch3x3": "3x3",
        "branch3x3dbl_1": "double_3x3.reduce",
        "branch3x3dbl_2": "double_3x3.3x3_a",
        "branch3x3dbl_3": "double_3x3.3x3_b",
    },
    r"mixed_6[b-e]": {
        "branch7x7_1": "7x7.reduce",
        "branch7x7_2": "7x7.1x7",
        "branch7x7_3": "7x7.7x1",
        "branch7x7dbl_1": "double_7x7.reduce",
        "branch7x7dbl_2": "double_7x7.7x1_a",
        "branch7x7dbl_3": "double_7x7.1x7_a",
        "branch7x7dbl_4": "double_7x7.7x1_b",
        "branch7x7dbl_5": "double_7x7.1x7_b",
        **V3_POOL,
    },
    r"mixed_7a": {
        "branch3x3_1": "3x3.reduce",
        "branch3x3_2": "3x3.3x3",
        "branch7x7x3_1": "7x7.reduce",
        "branch7x7x3_2": "7x7.1x7",
        "branch7x7x3_3": "7x7.7x1",
        "branch7x7x3_4": "7x7.3x3",
    },
    r"mixed_7[bc]": {
        "branch3x3_1": "3x3.reduce",
        "branch3x3_2a": "3x3.expand.1x3",
        "branch3x3_2b": "3x3.expand.3x1",
        "branch3x3dbl_1": "double_3x3.reduce",
        "branch3x3dbl_2": "double_3x3.3x3",
        "branch3x3dbl_3a": "double_3x3.expand.1x3",
        "branch3x3dbl_3b": "double_3x3.expand.3x1",
        **V3_POOL,
    },
    r"aux_heads\.\w+": {"conv0": "proj", "conv1": "full", "fc": "fc"},
}
V4_TIMM = {
    r"mixed_[35]a": {"conv": "3x3"},
    r"mixed_4a": {
        "branch0.0": "3x3.reduce",
        "branch0.1": "3x3.3x3",
        "branch1.0": "7x7.reduce",
        "branch1.1": "7x7.1x7",
        "branch1.2": "7x7.7x1",
        "branch1.3": "7x7.3x3",
    },
    r"inception_a\d+": {
        "branch0": "1x1",
        "branch1.0": "3x3.reduce",
        "branch1.1": "3x3.3x3",
        "branch2.0": "double_3x3.reduce",
        "branch2.1": "double_3x3.3x3_a",
        "branch2.2": "double_3x3.3x3_b",
        "branch3.1": "pool.proj",
    },
    r"reduction_a": {
        "branch0": "3x3",
        "branch1.0": "double_3x3.reduce",
        "branch1.1": "double_3x3.3x3_a",
        "branch1.2": "double_3x3.3x3_b",
    },
    r"inception_b\d+": {
        "branch0": "1x1",
        "branch1.0": "7x7.reduce",
        "branch1.1": "7x7.1x7",
        "branch1.2": "7x7.7x1",
        "branch2.0": "double_7x7.reduce",
        "branch2.1": "double_7x7.7x1_a",
        "branch2.2": "double_7x7.1x7_a",
        "branch2.3": "double_7x7.7x1_b",
        "branch2.4": "double_7x7.1x7_b",
        "branch3.1": "pool.proj",
    },
    r"reduction_b": {
        "branch0.0": "3x3.reduce",
        "branch0.1": "3x3.3x3",
        "branch1.0": "7x7.reduce",
        "branch1.1": "7x7.1x7",
        "branch1.2": "7x7.7x1",
        "branch1.3": "7x7.3x3",
    },
    r"inception_c\d+": {
        "branch0": "1x1",
        "branch1_0": "3x3.reduce",
        "branch1_1a": "3x3.expand.1x3",
        "branch1_1b": "3x3.expand.3x1",
        "branch2_0": "double_3x3.reduce",
        "branch2_1": "double_3x3.3x1",
        "branch2_2": "double_3x3.1x3",
        "branch2_3a": "double_3x3.expand.1x3",
        "branch2_3b": "double_3x3.expand.3x1",
        "branch3.1": "pool.proj",
    },
}
RESNET_TIMM = {
    r"mixed_5b": {
        "branch0": "1x1",
        "branch1.0": "5x5.reduce",
        "branch1.1": "5x5.5x5",
        "branch2.0": "double_3x3.reduce",
        "branch2.1": "double_3x3.3x3_a",
        "branch2.2": "double_3x3.3x3_b",
        "branch3.1": "pool.proj",
    },
    r"inception_resnet_a\d+": {
        "branch0": "branches.1x1",
        "branch1.0": "branches.3x3.reduce",
        "branch1.1": "branches.3x3.3x3",
        "branch2.0": "branches.double_3x3.reduce",
        "branch2.1": "branches.double_3x3.3x3_a",
        "branch2.2": "branches.double_3x3.3x3_b",
        "conv2d": "up",
    },
    r"reduction_a": V4_TIMM["reduction_a"],
    r"inception_resnet_b\d+": {
        "branch0": "branches.1x1",
        "branch1.0": "branches.7x7.reduce",
        "branch1.1": "branches.7x7.1x7",
        "branch1.2": "branches.7x7.7x1",
        "conv2d": "up",
    },
    r"reduction_b": {
        "branch0.0": "3x3_a.reduce",
        "branch0.1": "3x3_a.3x3",
        "branch1.0": "3x3_b.reduce",
        "branch1.1": "3x3_b.3x3",
        "branch2.0": "double_3x3.reduce",
        "branch2.1": "double_3x3.3x3_a",
        "branch2.2": "double_3x3.3x3_b",
    },
    r"inception_resnet_c\d+": {
        "branch0": "branches.1x1",
        "branch1.0": "branches.3x3.reduce",
        "branch1.1": "branches.3x3.1x3",
        "branch1.2": "branches.3x3.3x1",
        "conv2d": "up",
    },
}


def library_names(model):
    """`(library, stages, branches)`: who else has this network, and its names there.

    `stages` and `branches` take their name to ours. None where nobody else has it.
    """
    stages = getattr(model, "stage_names", ())
    name = getattr(model, "name", None)
    if name == "googlenet":
        names = {f"inception{module}": f"inception_{module}" for module in TABLE_1}
        names |= {"conv1": "conv1", "conv2": "conv2.reduce", "conv3": "conv2.3x3"}
        names |= {"aux1": "aux_heads.inception_4a", "aux2": "aux_heads.inception_4d"}
        return "torchvision", names | {"fc": "fc"}, GOOGLENET_TORCHVISION
    if name == "inception_v3":
        names = {stage.replace("mixed", "Mixed"): stage for stage in stages}
        for conv in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3"):
            names[f"Conv2d_{conv}"] = f"conv_{conv[:2]}"
        names["AuxLogits"] = "aux_heads.mixed_6e"
        return "torchvision and timm", names, V3_TORCHVISION
    if name == "inception_v4":
        names = {f"features.{i}": stage for i, stage in enumerate(stages)}
        return "timm", names | {"last_linear": "fc"}, V4_TIMM
    if name == "inception_resnet_v2":
        names = {stage.replace("conv", "conv2d"): stage for stage in stages}
        names |= {"mixed_6a": "reduction_a", "mixed_7a": "reduction_b"}
        names |= {"classif": "fc", "last_linear": "fc"}
        for repeat, grid in {"repeat": "a", "repeat_1": "b", "repeat_2": "c"}.items():
            ours = [s for s in stages if s.startswith(f"inception_resnet_{grid}")]
            names |= {f"{repeat}.{i}": stage for i, stage in enumerate(ours)}
            if grid == "c" and ours:  # the block without ReLU stands apart there
                names["block8"] = names.pop(f"repeat_2.{len(ours) - 1}")
        return "timm", names, RESNET_TIMM
    return None


KEY = re.compile(
    r"((?:features|repeat\w*)\.\d+|\w+)\."  # stage
    r"(?:(.+?)\.)??"  # branch, where there is one
    r"(conv\.weight|bn\.\w+|weight|bias)"  # leaf
)


def translate(key, stages, branches):
    """Our name for a library's `key`, or the key itself where there is none."""
    match = KEY.fullmatch(key)
    if not match or match[1] not in stages:
        return key
    stage, branch, leaf = stages[match[1]], match[2], match[3].replace("bn.", "norm.")
    if branch is None:
        return f"{stage}.{leaf}"
    for pattern, table in branches.items():
        if re.fullmatch(pattern, stage):
            return f"{stage}.{table[branch]}.{leaf}" if branch in table else key
    return key
