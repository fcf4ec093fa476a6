"""The best-known number of each family of the lineage, and what it really is.

Leaderboards give one figure per family; these are eleven of them, held against the papers. Data for
`top1 list --headlines`; knows recipes by name only.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """One family's number in percent, as it is quoted, and its origin.

    published: the number as its source prints it (errors turned into accuracies).
    network, protocol: what has this number, and how it was measured. where: the source.
    recipes: those of this book that lead to it, in the order they are trained.
    remark: what must be known before another number is held against it.
    extra_data: what was trained on besides ILSVRC-2012.
    """

    family: str
    top1: float
    published: float
    network: str
    protocol: str
    where: str
    recipes: tuple[str, ...]
    remark: str
    extra_data: str = "none"


HEADLINES = (
    Headline(
        family="AlexNet",
        top1=63.3,
        published=63.3,
        network="seven networks averaged",
        protocol="ten 224 crops of the central 256 square",
        where='Krizhevsky et al. 2012, Table 2, row "7 CNNs*" (36.7% error)',
        recipes=("alexnet",),
        remark="Two of the seven were pretrained on 15 million images and have a sixth convolution: out of "
        "reach on ILSVRC-2012 alone; one network has 59.3, five of the recipe's own have 61.9.",
        extra_data="ImageNet Fall 2011",
    ),
    Headline(
        family="VGG",
        top1=74.5,
        published=74.5,
        network="VGG-19 (configuration E), trained with scale jitter 256 to 512",
        protocol="dense over the whole image at one scale, 384, and its mirror",
        where="Simonyan and Zisserman 2014, Table 3 (25.5% error)",
        recipes=("vgg19",),
        remark="One scale, not several: over three scales the same network has 75.2 (Table 4).",
    ),
    Headline(
        family="ResNet",
        top1=78.6,
        published=78.57,
        network="ResNet-152",
        protocol="ten 224 crops of a short side of 256",
        where="He et al. 2015, Table 3 (21.43% error)",
        recipes=("resnet152",),
        remark="One central crop of the same network has 77.0 (the authors' README).",
    ),
    Headline(
        family="Inception",
        top1=80.0,
        published=80.0,
        network="Inception-v4",
        protocol="one 299 crop, on the 48,238 images that are not blacklisted",
        where="Szegedy et al. 2016, arXiv Table 2 (20.0% error)",
        recipes=("inception_v4",),
        remark="The authors put the subset 0.3 points above all 50,000 images, which gives 79.7.",
    ),
    Headline(
        family="DenseNet",
        top1=77.8,
        published=77.85,
        network="DenseNet-264, growth rate 32",
        protocol="one 224 crop of a short side of 256",
        where="Huang et al. 2016, Table 3 (22.15% error)",
        recipes=("densenet264",),
        remark="77.85 cut to one decimal; the README's DenseNet-161 (22.2% error) is another reading.",
    ),
    Headline(
        family="ResNeXt",
        top1=80.9,
        published=80.9,
        network="ResNeXt-101 64x4d, trained at 224",
        protocol="one 320 crop of a short side of 320",
        where="Xie et al. 2016, Table 5 (19.1% error)",
        recipes=("resnext101_64x4d",),
        remark="Tested at 224 like the others, the same network has 79.6.",
    ),
    Headline(
        family="Res2Net",
        top1=81.2,
        published=81.23,
        network="Res2Net-v1b-101 26w 4s",
        protocol="one 224 crop of a short side of 256",
        where="Gao et al. 2019, TPAMI, Table 1 (18.77% error)",
        recipes=("res2net101_v1b_26w_4s",),
        remark="How v1b was trained was never published; the paper's own Res2Net-101 has 79.19 (Table 2).",
    ),
    Headline(
        family="SENet",
        top1=81.3,
        published=81.32,
        network="SENet-154",
        protocol="one 224 crop of a short side of 256",
        where="Hu et al. 2018, journal version, Table 8 (18.68% error)",
        recipes=("senet154",),
        remark="The number of epochs is not published.",
    ),
    Headline(
        family="DPN",
        top1=80.1,
        published=80.07,
        network="DPN-131",
        protocol="one 224 crop, bicubic",
        where="Chen et al. 2017, authors' README (19.93% error)",
        recipes=("dpn131",),
        remark="Rounded up; at 320 the same network has 81.38, with mean-max pooling 81.45.",
    ),
    Headline(
        family="DLA",
        top1=78.0,
        published=78.03,
        network="DLA-102",
        protocol="one 224 crop of a short side of 256",
        where="the authors' checkpoint as timm measured it; Yu et al. 2018 show it in a plot only",
        recipes=("dla102",),
        remark="Not the family's best: DLA-X-102-64 has 79.44 by the same measurement.",
    ),
    Headline(
        family="EfficientNet v1/v2",
        top1=86.8,
        published=86.8,
        network="EfficientNetV2-L, pretrained on ImageNet-21k",
        protocol="the whole image squashed to 480 x 480",
        where="Tan and Le 2021, Table 7 and §5.2",
        recipes=("efficientnetv2_l@21k", "efficientnetv2_l@21k_ft"),
        remark="On ILSVRC-2012 alone V2-L has 85.7, version 1's B7 84.3; with ImageNet-21k V2-XL has 87.3.",
        extra_data="ImageNet-21k",
    ),
)
