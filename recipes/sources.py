"""The bibliography: every citation in a recipe's comments begins with one of these keys."""

from recipes.schema import Source

# LeNet, AlexNet, VGG
LECUN_1998 = Source(
    "lecun1998", "Gradient-Based Learning Applied to Document Recognition", "Proc. IEEE 86(11), 1998"
)
KRIZHEVSKY_2012 = Source(
    "krizhevsky2012",
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "NeurIPS 2012",
)
CUDA_CONVNET2 = Source(
    "cuda-convnet2",
    "the authors' later configuration and framework",
    "akrizhevsky/cuda-convnet2:layers/layer-params-imagenet-1gpu.cfg",
)
TENSORPACK = Source(
    "tensorpack",
    "tensorpack's AlexNet training",
    "tensorpack/tensorpack:examples/ImageNetModels/alexnet.py",
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

# Inception
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
SLIM = Source("slim", "Google's later networks and trainings", "tensorflow/models:research/slim")

# ResNet
HE_2015 = Source("he2015", "Deep Residual Learning for Image Recognition", "CVPR 2016, arXiv:1512.03385")
HE_2015B = Source(
    "he2015b",
    "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification",
    "ICCV 2015, arXiv:1502.01852",
)
HE_2016 = Source("he2016", "Identity Mappings in Deep Residual Networks", "ECCV 2016, arXiv:1603.05027")
KAIMINGHE = Source("kaiminghe", "the authors' released ResNets", "KaimingHe/deep-residual-networks:README.md")
FB_TORCH = Source("fb_torch", "FAIR's training of ResNets in Torch", "facebookarchive/fb.resnet.torch")
TORCH_IMAGE = Source("torch_image", "Torch's image package", "torch/image:generic/image.c")
PYCLS = Source(
    "pycls", "FAIR's later code for image classification", "facebookresearch/pycls:pycls/core/config.py"
)
GOYAL_2017 = Source(
    "goyal2017", "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", "arXiv:1706.02677"
)

# DenseNet, ResNeXt, Res2Net
HUANG_2016 = Source("huang2016", "Densely Connected Convolutional Networks", "CVPR 2017, arXiv:1608.06993")
DENSENET_CODE = Source("densenet_code", "the authors' code and README of DenseNet", "liuzhuang13/DenseNet")
PLEISS_2017 = Source("pleiss2017", "Memory-Efficient Implementation of DenseNets", "arXiv:1707.06990")
XIE_2016 = Source(
    "xie2016", "Aggregated Residual Transformations for Deep Neural Networks", "CVPR 2017, arXiv:1611.05431"
)
RESNEXT_CODE = Source("resnext_code", "the authors' code of ResNeXt", "facebookresearch/ResNeXt")
GAO_2019 = Source(
    "gao2019", "Res2Net: A New Multi-scale Backbone Architecture", "IEEE TPAMI 43(2), 2021, arXiv:1904.01169"
)
RES2NET_CODE = Source(
    "res2net_code", "the authors' training code of Res2Net", "Res2Net/Res2Net-ImageNet-Training:res2net_pami"
)
RES2NET_WEIGHTS = Source(
    "res2net_weights", "the authors' released Res2Nets", "Res2Net/Res2Net-PretrainedModels"
)
YUN_2019 = Source(
    "yun2019",
    "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    "ICCV 2019, arXiv:1905.04899",
)

# SENet, DPN, DLA
HU_2018 = Source(
    "hu2018", "Squeeze-and-Excitation Networks", "CVPR 2018; TPAMI 2020, arXiv:1709.01507, the version cited"
)
SENET = Source("senet", "the authors' README of SENet", "hujie-frank/SENet:README.md")
CHEN_2017 = Source("chen2017", "Dual Path Networks", "NIPS 2017, arXiv:1707.01629")
DPNS = Source("dpns", "the authors' README and code of DPN", "cypw/DPNs")
YU_2018 = Source("yu2018", "Deep Layer Aggregation", "CVPR 2018, arXiv:1707.06484")
DLA = Source("dla", "the authors' code of DLA", "ucbdrive/dla")
TIMM_DLA = Source(
    "timm_dla",
    "the authors' DLA checkpoints measured again",
    "huggingface/pytorch-image-models:hfdocs/source/models/dla.mdx",
)

# MobileNet, ShuffleNet
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

# EfficientNet
TAN_2019 = Source(
    "tan2019",
    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "ICML 2019, arXiv:1905.11946",
)
TPU = Source("tpu", "the authors' code of EfficientNet", "tensorflow/tpu:models/official/efficientnet")
TAN_2021 = Source(
    "tan2021", "EfficientNetV2: Smaller Models and Faster Training", "ICML 2021, arXiv:2104.00298"
)
AUTOML = Source("automl", "the authors' code and README of EfficientNetV2", "google/automl:efficientnetv2")

# Everywhere
TORCHVISION = Source(
    "torchvision",
    "torchvision's reference trainings, and what its weights say of themselves",
    "pytorch/vision:references/classification, torchvision.models",
)
# Counts we made ourselves on the meta device with the libraries named in the README.
MEASURED = Source("measured", "counted on the network as built here", "tests/test_models.py")
