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
KRIZHEVSKY_2014 = Source(
    "krizhevsky2014", "One Weird Trick for Parallelizing Convolutional Neural Networks", "arXiv:1404.5997"
)
CAFFE = Source("caffe", "the solvers and networks of Caffe's replications", "BVLC/caffe:models, examples")
SIMONYAN_2014 = Source(
    "simonyan2014",
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "ICLR 2015, arXiv:1409.1556",
)
SZEGEDY_2014 = Source("szegedy2014", "Going Deeper with Convolutions", "CVPR 2015, arXiv:1409.4842")
IOFFE_2015 = Source(
    "ioffe2015",
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "ICML 2015, arXiv:1502.03167",
)
SZEGEDY_2015 = Source(
    "szegedy2015",
    "Rethinking the Inception Architecture for Computer Vision",
    "CVPR 2016, arXiv:1512.00567",
)
SZEGEDY_2016 = Source(
    "szegedy2016",
    "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    "AAAI 2017, arXiv:1602.07261",
)
GOOGLE_INCEPTION = Source(
    "google_inception", "the authors' training of Inception-v3", "tensorflow/models:research/inception"
)
SLIM = Source("slim", "the authors' later networks and training", "tensorflow/models:research/slim")
FB_TORCH = Source(
    "fb.resnet.torch",
    "a training of ResNet whose colour distortions others took over",
    "facebookarchive/fb.resnet.torch",
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
TAN_2021 = Source(
    "tan2021", "EfficientNetV2: Smaller Models and Faster Training", "ICML 2021, arXiv:2104.00298"
)
AUTOML = Source("automl", "the authors' code and README of EfficientNetV2", "google/automl:efficientnetv2")
TPU = Source("tpu", "the authors' code of EfficientNet", "tensorflow/tpu:models/official/efficientnet")
# Counts we made ourselves on the meta device with the libraries named in the README.
MEASURED = Source("measured", "counted on the network as built here", "tests/test_models.py")
TORCHVISION = Source(
    "torchvision",
    "torchvision's reference trainings, and what its weights say of themselves",
    "pytorch/vision:references/classification, torchvision.models",
)
