"""Weight files in the libraries' own formats: found in their caches, read without code, refused by name."""

import hashlib
import json
import pickle
from argparse import Namespace

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

from pipeline.errors import Top1Error
from pipeline.published import all_published, network_of, published
from pipeline.published_page import page, rows
from pipeline.timm_figures import TIMM_FIGURES
from pipeline.weight_file import check_weight_file
from pipeline.weights import load_weights, read_weights


class Small(nn.Module):
    """A network with a head and, where asked for, an auxiliary one."""

    def __init__(self, classes=10, width=4, auxiliary=False):
        super().__init__()
        self.conv, self.norm, self.fc = (
            nn.Conv2d(3, width, 3),
            nn.BatchNorm2d(width),
            nn.Linear(width, classes),
        )
        if auxiliary:
            self.aux1 = nn.Linear(width, classes)


def state(seed=1, **options):
    torch.manual_seed(seed)
    return Small(**options).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


WRITERS = {
    "plain.pth": lambda tensors, path: torch.save(tensors, path),
    "old.pth": lambda tensors, path: torch.save(tensors, path, _use_new_zipfile_serialization=False),
    "wrapped.tar": lambda tensors, path: torch.save({"epoch": 90, "state_dict": tensors, "best": 76.1}, path),
    "parallel.pth": lambda tensors, path: torch.save({f"module.{n}": t for n, t in tensors.items()}, path),
    "averaged.pth": lambda tensors, path: torch.save({"model": state(2), "model_ema": tensors}, path),
    "compiled.safetensors": lambda tensors, path: safetensors.torch.save_file(
        {f"_orig_mod.{n}": t for n, t in tensors.items()}, path
    ),
    "model.safetensors": safetensors.torch.save_file,
}


@pytest.mark.parametrize("name", WRITERS)
def test_weights_are_read_from_every_format(name, tmp_path):
    tensors = state()
    WRITERS[name](tensors, tmp_path / name)
    check_weight_file(tmp_path / name)
    assert same(read_weights(tmp_path / name), tensors)


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_code_in_a_file_is_never_run(tmp_path, capsys):
    torch.save({"state_dict": state(), "hook": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(Top1Error, match=r"evil.pth holds program code beside tensors, which is not run"):
        read_weights(tmp_path / "evil.pth")
    with pytest.raises(Top1Error, match=r"evil.pkl"):
        read_weights(tmp_path / "evil.pkl")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["plain.pth", "old.pth", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 10, 200, -100])
def test_a_truncated_file_is_named(name, kept, tmp_path):
    path = tmp_path / name
    WRITERS[name](state(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Top1Error, match=rf"{name} (is no whole weight file|holds program code)"):
        read_weights(path)
    if (name, kept) != ("old.pth", -100):  # of which only reading it all tells
        with pytest.raises(Top1Error, match=f"{name} is no whole weight file"):
            check_weight_file(path)


@pytest.mark.parametrize("new", [True, False])
def test_a_training_checkpoint_with_code_in_it_is_named_before_it_is_read(new, tmp_path):
    path = tmp_path / "model_best.pth.tar"  # as timm writes it
    torch.save({"state_dict": state(), "args": Namespace(lr=1)}, path, _use_new_zipfile_serialization=new)
    for look in (check_weight_file, read_weights):
        with pytest.raises(Top1Error, match=r"pth.tar holds program code beside tensors, which is not run"):
            look(path)


def test_a_file_whose_name_has_another_hash_is_refused(tmp_path):
    torch.save(state(), tmp_path / "small.pth")
    content = (tmp_path / "small.pth").read_bytes()
    right = tmp_path / f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    right.write_bytes(content)
    assert same(read_weights(right), state())
    wrong = tmp_path / "small-01234567.pth"
    wrong.write_bytes(content)
    with pytest.raises(Top1Error, match="its name says 01234567"):
        read_weights(wrong)


def test_what_holds_no_weights_is_named(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("hello")
    for name, expected in [
        ("none.pth", "holds no tensors by name"), ("text.pth", "no whole weight file"),
        ("nowhere.pth", "does not exist"), ("", "is a folder"),
    ]:  # fmt: skip
        with pytest.raises(Top1Error, match=expected):
            read_weights(tmp_path / name)


def refusal(network, tensors, **options):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(Top1Error) as error:
        load_weights(network, tensors, "w.pth", **options)
    assert same(network.state_dict(), before)  # nothing half loaded
    return str(error.value)


def test_weights_of_another_network_are_named_by_what_does_not_fit():
    network = Small()
    assert "w.pth holds the weights of another network than Small: it has no conv.weight" in refusal(
        network, {}
    )
    more = {**state(), "layer4.weight": torch.zeros(3)}
    assert "it has layer4.weight (1 tensors are unknown)" in refusal(network, more)
    assert "its fc.weight is (10, 8) instead of (10, 4)" in refusal(
        network, {**state(), "fc.weight": torch.zeros(10, 8)}
    )
    assert "another network" in refusal(Small(width=8), state())


def test_another_number_of_classes_names_both_unless_a_new_head_is_asked_for():
    network = Small(classes=7)
    text = refusal(network, state())
    assert "has 10 classes and the network has 7 (fc.weight)" in text
    assert "--new-head" in text
    head = network.fc.weight.clone()
    load_weights(network, state(), "w.pth", new_head=True)
    assert torch.equal(network.conv.weight, state()["conv.weight"])
    assert torch.equal(network.fc.weight, head)


def test_auxiliary_heads_may_be_in_the_file_or_the_network_alone():
    plain, training = Small(), Small(auxiliary=True)
    load_weights(plain, state(auxiliary=True), "w.pth")
    assert same(plain.state_dict(), {n: t for n, t in state(auxiliary=True).items() if "aux" not in n})
    load_weights(training, state(), "w.pth")
    assert torch.equal(training.fc.weight, state()["fc.weight"])


# ---------------------------------------------------------------- the libraries' caches


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches of torch.hub and of huggingface_hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    return tmp_path


def test_a_file_that_is_not_there_is_named_with_where_it_comes_from(caches):
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    with pytest.raises(Top1Error) as error:
        network_of(published("torchvision", "resnet18"))
    assert str(caches / "torch" / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[1]) in str(error.value)
    assert weights.url in str(error.value)
    with pytest.raises(Top1Error, match=r"timm are not on this machine: .*models--timm--resnet10t"):
        network_of(published("timm", "resnet10t"))


def test_torchvisions_file_is_found_in_its_cache_and_gives_its_network(caches):
    torch.manual_seed(5)
    theirs = torchvision.models.shufflenet_v2_x0_5().eval()
    found = published("torchvision", "shufflenet_v2_x0_5")
    path = caches / "torch" / "hub" / "checkpoints" / found.where.rsplit("/", 1)[1]
    path.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), path)
    with pytest.raises(Top1Error, match="is not whole: its sha256 begins with"):
        network_of(found)  # not the published file
    ours = network_of(found, _renamed(path)).eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))


def _renamed(path):
    return path.rename(path.with_name("mine.pth"))


def test_timms_file_is_found_in_the_hubs_cache_and_gives_its_network(caches):
    torch.manual_seed(5)
    theirs = timm.create_model("mobilenetv3_small_050").eval()
    found = published("timm", "mobilenetv3_small_050")
    snapshot = caches / "hub" / f"models--{found.where.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    safetensors.torch.save_file(theirs.state_dict(), snapshot / "model.safetensors")
    ours = network_of(found).eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_inceptions_load_with_their_auxiliary_heads_and_scale_pixels_themselves(name, tmp_path):
    builder = torchvision.models.get_model_builder(name)
    theirs = builder(weights=None, aux_logits=True, transform_input=True, init_weights=False).eval()
    torch.save(theirs.state_dict(), tmp_path / "mine.pth")
    ours = network_of(published("torchvision", name), tmp_path / "mine.pth").eval()
    images = torch.randn(1, 3, 96, 96)
    assert torch.equal(ours(images), theirs(images))


def test_the_protocol_is_the_librarys_own():
    # docs of torchvision 0.2x: resize 232 bilinear, crop 224 (IMAGENET1K_V2); 384/384 for EfficientNetV2-S.
    two = published("torchvision", "resnet50", "IMAGENET1K_V2")
    assert two.evaluation.protocol == "single_crop 224/232 bilinear"
    assert (two.top1, two.top5) == (80.858, 95.434)
    assert (
        published("torchvision", "resnet50", "IMAGENET1K_V1").evaluation.protocol
        == "single_crop 224/256 bilinear"
    )
    assert two.normalize.mean[0] == pytest.approx(0.485 * 255)
    dpn = published("timm", "dpn98", "mx_in1k")
    assert dpn.evaluation.protocol == "single_crop 224/256 bicubic"  # floor(224 / 0.875)
    assert (dpn.top1, dpn.top5) == (79.664, 94.644)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("torchvision", "resnet5"), "torchvision has no network 'resnet5'; did you mean"),
        (
            ("torchvision", "resnet50", "V3"),
            "publishes no weights 'V3' of resnet50; it has IMAGENET1K_V1, IMAGENET1K_V2",
        ),
        (("timm", "resnett50"), "timm has no network 'resnett50'; did you mean"),
        (("timm", "dpn98", "nothing"), "timm publishes no weights dpn98.nothing; it has mx_in1k"),
    ],
)
def test_weights_that_nobody_publishes_are_refused(arguments, expected):
    with pytest.raises(Top1Error, match=expected):
        published(*arguments)


def test_the_page_of_published_weights_is_what_the_command_writes(request):
    written = (request.config.rootpath / "docs" / "published_weights.md").read_text(encoding="utf-8")
    assert written == page(rows(), markdown=True)
    assert json.dumps(rows())
    assert {f"{r['network']}.{r['weights']}" for r in rows() if r["library"] == "timm"} == set(TIMM_FIGURES)
    assert all(found.top1 for found in all_published())
