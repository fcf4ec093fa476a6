"""The bibliography: every citation in a recipe's comments begins with one of these keys."""

from recipes.schema import Source

LECUN_1998 = Source(
    "lecun1998", "Gradient-Based Learning Applied to Document Recognition", "Proc. IEEE 86(11), 1998"
)
KRIZHEVSKY_2012 = Source(
    "krizhevsky2012",
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "NeurIPS 2012",
)
TENSORPACK = Source(
    "tensorpack",
    "tensorpack's AlexNet training",
    "tensorpack/tensorpack:examples/ImageNetModels/alexnet.py",
)
CUDA_CONVNET2 = Source(
    "cuda-convnet2",
    "the authors' later configuration and framework",
    "akrizhevsky/cuda-convnet2:layers/layer-params-imagenet-1gpu.cfg",
)
# SENet
HU_2018 = Source(
    "hu2018", "Squeeze-and-Excitation Networks", "CVPR 2018; TPAMI 2020, arXiv:1709.01507, the version cited"
)
SENET = Source("senet", "the authors' README of SENet", "hujie-frank/SENet:README.md")
# DPN
CHEN_2017 = Source("chen2017", "Dual Path Networks", "NIPS 2017, arXiv:1707.01629")
DPNS = Source("dpns", "the authors' README and code of DPN", "cypw/DPNs")
# DLA
YU_2018 = Source("yu2018", "Deep Layer Aggregation", "CVPR 2018, arXiv:1707.06484")
DLA = Source("dla", "the authors' code of DLA", "ucbdrive/dla")
TIMM_DLA = Source(
    "timm_dla",
    "the authors' DLA checkpoints measured again",
    "huggingface/pytorch-image-models:hfdocs/source/models/dla.mdx",
)
# MobileNet
HOWARD_2017 = Source(
    "howard2017",
    "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    "arXiv:1704.04861",
)
SANDLER_2018 = Source(
    "sandler2018",
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    "CVPR 2018, arXiv:1801.04381",
)
HOWARD_2019 = Source("howard2019", "Searching for MobileNetV3", "ICCV 2019, arXiv:1905.02244")
SLIM = Source("slim", "the authors' code and README of MobileNet", "tensorflow/models:research/slim")
# ShuffleNet
ZHANG_2018 = Source(
    "zhang2018",
    "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    "CVPR 2018, arXiv:1707.01083",
)
MA_2018 = Source(
    "ma2018",
    "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    "ECCV 2018, arXiv:1807.11164",
)
MEGVII = Source(
    "megvii", "the authors' code and README of ShuffleNet v1 and v2", "megvii-model/ShuffleNet-Series"
)
TAN_2021 = Source(
    "tan2021", "EfficientNetV2: Smaller Models and Faster Training", "ICML 2021, arXiv:2104.00298"
)
AUTOML = Source("automl", "the authors' code and README of EfficientNetV2", "google/automl:efficientnetv2")
TPU = Source("tpu", "the authors' code of EfficientNet", "tensorflow/tpu:models/official/efficientnet")
# Counts we made ourselves on the meta device with the libraries named in the README.
MEASURED = Source("measured", "counted on the network as built here", "tests/test_models.py")
TORCHVISION = Source("torchvision", "torchvision's reference transforms", "pytorch/vision:references")
