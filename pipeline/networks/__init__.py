"""Networks that no library publishes as their paper describes them, by the name recipes use."""

from pipeline.networks.alexnet import AlexNet2012
from pipeline.networks.densenet import densenet
from pipeline.networks.lenet import LeNet5
from pipeline.networks.resnet import ResNetV1

NETWORKS = {"lenet5": LeNet5, "alexnet2012": AlexNet2012, "resnet_v1": ResNetV1, "densenet": densenet}
