"""Networks that no library publishes as their paper describes them, by the name recipes use."""

from pipeline.networks.alexnet import AlexNet2012
from pipeline.networks.densenet import densenet
from pipeline.networks.lenet import LeNet5
from pipeline.networks.mobilenet import MobileNetV1
from pipeline.networks.resnet import ResNetV1
from pipeline.networks.shufflenet import ShuffleNetV1, ShuffleNetV2

NETWORKS = {
    "lenet5": LeNet5,
    "alexnet2012": AlexNet2012,
    "resnet_v1": ResNetV1,
    "densenet": densenet,
    "mobilenet_v1": MobileNetV1,
    "shufflenet_v1": ShuffleNetV1,
    "shufflenet_v2": ShuffleNetV2,
}
