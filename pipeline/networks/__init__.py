"""Networks that no library publishes as their paper describes them, by the name recipes use."""

from pipeline.networks.alexnet import AlexNet
from pipeline.networks.bn_inception import BNInception
from pipeline.networks.densenet import densenet
from pipeline.networks.efficientnet import efficientnet, efficientnet_v2_base
from pipeline.networks.googlenet import GoogLeNet
from pipeline.networks.inception_v3 import InceptionV3
from pipeline.networks.lenet import LeNet5
from pipeline.networks.lenet_modern import ModernLeNet5
from pipeline.networks.mobilenet import MobileNetV1
from pipeline.networks.resnet import ResNetV1
from pipeline.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from pipeline.networks.vgg import vgg

NETWORKS = {
    "lenet5": LeNet5,
    "lenet5_modern": ModernLeNet5,
    "alexnet": AlexNet,
    "vgg": vgg,
    "googlenet": GoogLeNet,
    "bn_inception": BNInception,
    "inception_v3": InceptionV3,
    "resnet_v1": ResNetV1,
    "densenet": densenet,
    "mobilenet_v1": MobileNetV1,
    "shufflenet_v1": ShuffleNetV1,
    "shufflenet_v2": ShuffleNetV2,
    "efficientnet": efficientnet,
    "efficientnet_v2_base": efficientnet_v2_base,
}
