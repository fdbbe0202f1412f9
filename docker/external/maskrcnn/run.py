"""Mask R-CNN of torchvision with weights of yours: the best mask keeps a pixel."""

import os

import numpy as np
import tifffile
import torch
from case import given, target
from torchvision.models.detection import maskrcnn_resnet50_fpn

WEIGHTS = os.environ.get("WEIGHTS", "/opt/external/model.pt")
SCORE, MASK, MOST = 0.5, 0.5, 1000  # least score and mask value; objects of an image
image = tifffile.imread(given()).astype(np.float32)
low, high = np.percentile(image, (1, 99.8))  # as in the training
plane = torch.from_numpy(np.clip((image - low) / max(high - low, 1e-6), 0, 1))
network = maskrcnn_resnet50_fpn(
    weights=None, weights_backbone=None, num_classes=2, box_detections_per_img=MOST
)
network.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
network.eval()
with torch.inference_mode():
    (found,) = network([plane.expand(3, -1, -1)])
labels = np.zeros(image.shape, np.uint16)
for number, (mask, score) in enumerate(zip(found["masks"], found["scores"], strict=True), 1):
    if score >= SCORE:  # best first
        labels[(mask[0].numpy() > MASK) & (labels == 0)] = number
tifffile.imwrite(target(), labels)
