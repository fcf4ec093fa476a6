"""Networks that no library publishes as their paper describes them, by the name recipes use."""

from pipeline.networks.alexnet import AlexNet2012
from pipeline.networks.efficientnet import efficientnet, efficientnet_v2_base
from pipeline.networks.lenet import LeNet5

NETWORKS = {
    "lenet5": LeNet5,
    "alexnet2012": AlexNet2012,
    "efficientnet": efficientnet,
    "efficientnet_v2_base": efficientnet_v2_base,
}
