"""Views and their averaging, on networks whose answers are known: functions of pixels, explicit windows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_gpu import GPU, fake_gpu
from PIL import Image
from timm.models.dpn import DPN
from timm.models.vgg import VGG, ConvMlp
from torch import nn
from torchvision.models import resnet18
from torchvision.transforms import functional

import recipes
from pipeline.data.loader import Areas
from pipeline.dense import Convolved, MeanMax, Plain, form_of
from pipeline.errors import Top1Error
from pipeline.evaluate import view_probabilities
from pipeline.models import build
from pipeline.networks import AlexNet, LeNet5
from pipeline.protocols import count_views
from pipeline.tiny import tiny
from pipeline.views import passes
from recipes.schema import Evaluation

CROP = 32
MEAN, STD = (torch.tensor(values)[:, None, None] for values in ((120.0, 110.0, 100.0), (60.0, 50.0, 70.0)))
MANY = 10**9


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def areas(*scales):
    """Images of different shapes at each scale, as the loader gives them."""
    return Areas([list(images) for images in scales], torch.arange(len(scales[0])))


def corner_net(images):
    """Scores that say where a view begins and whether it is mirrored: its first and last pixels."""
    return torch.stack(
        [images[:, 0, 0, 0], images[:, 1, 0, -1], images[:, 2, -1, 0], images[:, 0, -1, -1]], 1
    )


def views(evaluation, image):
    return [
        view.numpy().tobytes()
        for stack, _ in passes(evaluation, [[image]], MANY)
        for view in stack.contiguous()
    ]


def mean_of(crops, average):
    """What a protocol says of some crops (C, H, W) by the plainest code."""
    scores = torch.stack([corner_net(((crop - MEAN) / STD)[None])[0] for crop in crops]).double()
    return scores.softmax(1).mean(0) if average == "probabilities" else scores.mean(0).softmax(0)


def grid(image):
    rows, columns = (np.rint(np.arange(5) * (side - CROP) / 4).astype(int) for side in image.shape[1:])
    return [
        side[:, y : y + CROP, x : x + CROP] for side in (image, image.flip(2)) for y in rows for x in columns
    ]


REFERENCES = {
    "single_crop": lambda image: [image],
    "ten_crop": lambda image: functional.ten_crop(image, CROP),
    "crops_150": grid,
    "dense": lambda image: [image, image.flip(2)],
}


@pytest.mark.parametrize("most_pixels", [MANY, 7 * CROP**2, 1])
@pytest.mark.parametrize("average", ["probabilities", "scores"])
@pytest.mark.parametrize("name", REFERENCES)
def test_views_of_images_of_different_shape_are_averaged_to_the_last_digit(name, average, most_pixels):
    shapes = [(CROP, CROP)] * 3 if name == "single_crop" else [(40, 53), (61, 40), (40, 53), (40, 40)]
    scales = [[noise(3, *shape, seed=10 * scale + i) for i, shape in enumerate(shapes)] for scale in range(2)]
    evaluation = Evaluation(CROP, (40, 40), name, average=average)
    found = view_probabilities(corner_net, areas(*scales), evaluation, (MEAN, STD), most_pixels)
    for row, images in zip(found, zip(*scales, strict=True), strict=True):
        crops = [crop for image in images for crop in REFERENCES[name](image)]
        assert len(crops) == count_views(evaluation)
        assert torch.allclose(row, mean_of(crops, average), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", REFERENCES)
def test_on_a_gpu_the_next_batch_is_made_while_the_views_of_one_are_seen(name):
    with fake_gpu() as waits:
        images = [torch.empty(3, CROP, CROP + 5 * (name != "single_crop"), device=GPU) for _ in range(4)]
        evaluation, scale = Evaluation(CROP, (CROP,), name), tuple(s.to(GPU) for s in (MEAN, STD))
        waits.clear()
        found = view_probabilities(corner_net, areas(images), evaluation, scale, MANY)
        assert (found.shape, found.device, waits) == ((4, 4), GPU, [])


def test_the_mean_of_probabilities_is_not_that_of_scores():
    both = [
        view_probabilities(
            corner_net, areas([noise(3, 40, 53)]), Evaluation(CROP, (40,), "ten_crop", average=average),
            (MEAN, STD), MANY,
        )
        for average in ("probabilities", "scores")
    ]  # fmt: skip
    assert not torch.allclose(*both, atol=1e-3)


def test_five_by_five_crops_begin_where_worked_out_by_hand():
    # Short side 256: (256 - 224) / 4 = 8; long side 341: 117 / 4 = 29.25; half to even.
    image = torch.zeros(1, 256, 341, dtype=torch.int32) + torch.arange(256 * 341).view(256, 341)
    ((stack, _),) = passes(Evaluation(224, (256,), "crops_150"), [[image]], MANY)
    firsts = [int(view[0, 0, 0]) for view in stack[:25]]
    assert firsts == [341 * y + x for y in (0, 8, 16, 24, 32) for x in (0, 29, 58, 88, 117)]


@pytest.mark.parametrize("shape", [(48, 67), (71, 48), (48, 48)])
def test_144_crops_are_those_of_googlenets_section_7(shape):
    image = noise(3, *shape)
    picture = functional.to_pil_image(image)
    short, (height, width) = min(shape), shape
    corners = [
        (0, 0),
        (round((width - short) / 2), round((height - short) / 2)),
        (width - short, height - short),
    ]
    exact, resized = [], []
    for side in (picture, functional.hflip(picture)):
        for left, top in corners:
            square = side.crop((left, top, left + short, top + short))
            exact += functional.five_crop(square, CROP)
            resized.append(square.resize((CROP, CROP), Image.Resampling.BILINEAR))
    evaluation = Evaluation(CROP, (short,), "crops_144")
    assert count_views(Evaluation(CROP, (256, 288, 320, 352), "crops_144")) == 144
    found = views(evaluation, image)
    assert len(found) == 36
    expected = [functional.pil_to_tensor(crop).numpy().tobytes() for crop in exact]
    for crop in expected:
        found.remove(crop)
    left = [np.frombuffer(view, np.uint8).astype(int) for view in found]
    for whole in resized:
        wanted = functional.pil_to_tensor(whole).numpy().ravel().astype(int)
        assert min(np.abs(wanted - view).max() for view in left) <= 1  # Pillow's rounding


def test_crops_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match="crops of 32 pixels"):
        list(passes(Evaluation(CROP, (30,), "ten_crop"), [[noise(3, 30, 40)]], MANY))


# ---------------------------------------------------------------- fully convolutional


def small_vgg():
    """torchvision's layout without padding: a window is 15 pixels, at stride 2 it gives the next position."""
    torch.manual_seed(0)
    network = nn.Module()
    network.features = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU())
    network.avgpool = nn.AdaptiveAvgPool2d((7, 7))
    network.classifier = nn.Sequential(
        nn.Linear(4 * 49, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5)
    )
    network.forward = lambda x: network.classifier(network.avgpool(network.features(x)).flatten(1))
    return network.eval()


def timm_vgg():
    """timm's VGG without padding: 16 pixels are a window, at stride 2."""
    torch.manual_seed(0)
    network = VGG([8, "M"], num_classes=5)
    network.pre_logits, network.head.fc = ConvMlp(8, 32, 7), nn.Linear(32, 5)
    for module in network.features.modules():
        if isinstance(module, nn.Conv2d):
            module.padding = (0, 0)
    return network.eval()


@pytest.mark.parametrize(
    ("make", "window", "kind"),
    [(small_vgg, 15, Convolved), (timm_vgg, 16, Plain)],
    ids=["torchvision", "timm"],
)
@torch.inference_mode()
def test_dense_evaluation_is_the_mean_over_explicit_sliding_windows(make, window, kind):
    network, images = make(), torch.randn(2, 3, window + 6, window + 12)
    form = form_of(network, Evaluation(window, (window,), "dense"))
    assert type(form) is kind
    windows = [
        network(images[:, :, y : y + window, x : x + window]) for y in range(0, 7, 2) for x in range(0, 13, 2)
    ]
    assert len(windows) == 28
    assert torch.allclose(form(images), torch.stack(windows).mean(0), atol=1e-6)
    one = images[:, :, :window, :window]
    assert torch.allclose(form(one), network(one), atol=1e-6)


@torch.inference_mode()
def test_a_resnet_on_a_larger_image_gives_the_mean_of_its_scores_over_positions():
    torch.manual_seed(0)
    network = resnet18(num_classes=7).eval()
    form = form_of(network, Evaluation(64, (64,), "dense"))
    assert type(form) is Plain
    body = nn.Sequential(*list(network.children())[:-2])
    images = torch.randn(1, 3, 96, 160)
    positions = body(images).permute(0, 2, 3, 1)  # (1, 3, 5, 512)
    assert positions.shape[1:3] == (3, 5)
    assert torch.allclose(form(images), network.fc(positions).mean((1, 2)), atol=1e-5)


class TwoLayers(nn.Module):
    """A classifier that is not linear in the pooled features, as MobileNetV3's."""

    def __init__(self):
        super().__init__()
        self.conv, self.hidden, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 9), nn.Linear(9, 5)

    def forward(self, x):
        return self.fc(self.hidden(self.conv(x).mean((2, 3))).relu())


@pytest.mark.parametrize(
    "network", [LeNet5(), AlexNet(10, width=0.0625), TwoLayers()], ids=lambda n: type(n).__name__
)
def test_a_network_without_a_dense_form_is_refused(network):
    with pytest.raises(Top1Error, match=f"{type(network).__name__} has no fully convolutional form"):
        form_of(network.eval(), Evaluation(96, (96,), "dense"))


@torch.inference_mode()
def test_dpns_pooling_is_the_mean_of_average_and_maximum_over_positions():
    torch.manual_seed(0)
    network = DPN(
        k_sec=(1, 1, 1, 1), inc_sec=(4, 4, 4, 4), k_r=16, groups=4, num_classes=5, small=True,
        num_init_features=8,
    ).eval()  # fmt: skip
    form = form_of(network, Evaluation(256, (256,), pooling="mean_max"))
    assert type(form) is MeanMax
    images = torch.randn(2, 3, 256, 320)
    features = network.forward_features(images)
    assert features.shape[2:] == (8, 10)
    weight, bias = network.get_classifier().weight.flatten(1), network.get_classifier().bias
    scores = [
        features[:, :, y : y + 7, x : x + 7].mean((2, 3)) @ weight.T + bias
        for y in range(2)
        for x in range(4)
    ]
    stacked = torch.stack(scores)
    assert torch.allclose(form(images), (stacked.mean(0) + stacked.amax(0)) / 2, atol=1e-5)
    one = torch.randn(1, 3, 224, 224)  # 7 x 7 features: one position, the network's own answer
    assert torch.allclose(form(one), network(one), atol=1e-5)


def test_mean_max_pooling_needs_features():
    with pytest.raises(Top1Error, match="shows no features"):
        form_of(SimpleNamespace(), Evaluation(224, (256,), pooling="mean_max"))


def needs_a_form(target):
    return target.evaluation.views == "dense" or target.evaluation.pooling != "mean"


# One recipe for each network: several trainings of it have the same form.
SPECIAL = {
    r.model.constructor: r for r in recipes.all_recipes().values() if any(map(needs_a_form, r.targets))
}


def test_every_networks_form_exists_for_its_targets():
    for recipe in SPECIAL.values():
        small = tiny(recipe, 10)
        network = build(small.model, small.regularization).eval()
        for target in filter(needs_a_form, small.targets):
            form_of(network, target.evaluation)
