"""Networks that no library publishes as their paper describes them, by the name recipes use."""

from pipeline.networks.alexnet import AlexNet2012
from pipeline.networks.lenet import LeNet5

NETWORKS = {"lenet5": LeNet5, "alexnet2012": AlexNet2012}
