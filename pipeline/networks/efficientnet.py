"""EfficientNet and the base of EfficientNetV2 of any width and depth, from timm's blocks."""

from timm.models.efficientnet import EfficientNet, _gen_efficientnet, _gen_efficientnetv2_base

BN_EPS = 1e-3  # tensorflow/tpu:models/official/efficientnet/efficientnet_builder.py


def efficientnet(
    num_classes: int = 1000,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> EfficientNet:
    """Return what timm's tf_efficientnet_b0 .. b7 are. (N, 3, S, S) -> (N, num_classes), 0: (N, features).

    width, depth: of channels and of blocks a stage, B0's being 1 (Tan & Le 2019, Eq. 3). timm's public
    constructors fix both, and so have no small network for `--tiny`. Padding is TensorFlow's SAME.
    """
    network: EfficientNet = _gen_efficientnet(
        "tf_efficientnet_b0",
        channel_multiplier=width,
        depth_multiplier=depth,
        num_classes=num_classes,
        drop_rate=dropout,
        drop_path_rate=drop_path,
        pad_type="same",
        bn_eps=BN_EPS,
    )
    return network


def efficientnet_v2_base(
    num_classes: int = 1000,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> EfficientNet:
    """Return what timm's tf_efficientnetv2_b0 .. b3 are, of any width and depth; shapes as `efficientnet`."""
    network: EfficientNet = _gen_efficientnetv2_base(
        "tf_efficientnetv2_b0",
        channel_multiplier=width,
        depth_multiplier=depth,
        num_classes=num_classes,
        drop_rate=dropout,
        drop_path_rate=drop_path,
        pad_type="same",
        bn_eps=BN_EPS,
    )
    return network
