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
TAN_2019 = Source(
    "tan2019",
    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "ICML 2019, arXiv:1905.11946",
)
TAN_2021 = Source(
    "tan2021", "EfficientNetV2: Smaller Models and Faster Training", "ICML 2021, arXiv:2104.00298"
)
AUTOML = Source("automl", "the authors' code and README of EfficientNetV2", "google/automl:efficientnetv2")
TPU = Source("tpu", "the authors' code of EfficientNet", "tensorflow/tpu:models/official/efficientnet")
# Counts we made ourselves on the meta device with the libraries named in the README.
MEASURED = Source("measured", "counted on the network as built here", "tests/test_models.py")
TORCHVISION = Source("torchvision", "torchvision's reference transforms", "pytorch/vision:references")
