"""A fidelity case of detectron2: a model of its configs with seeded, well-spread weights, an image, and what DefaultPredictor answers.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/fidelity/detectron2_case.py OUT_DIR SEED ARCH [HEIGHT WIDTH]
    ARCH  a config's name without its schedule: mask_rcnn_R_50_FPN, mask_rcnn_R_101_FPN, mask_rcnn_R_50_C4, mask_rcnn_R_50_DC5,
          mask_rcnn_X_101_32x8d_FPN, keypoint_rcnn_R_50_FPN, faster_rcnn_R_50_FPN, ...
    MIN, MAX in the environment: INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST, 800 and 1333 by default
writes OUT_DIR/weights.pkl (as the files of detectron2's model zoo), image.png, expected.json, masks.bin, args (see cases.py).
The image is read, resized and answered as detectron2's DefaultPredictor does it, with the weights read back from the file.
detectron2's compiled extension is not needed: its RoIAlign and NMS are torchvision's.
"""
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

import detectron2
from detectron2.config import get_cfg
from detectron2.engine import DefaultPredictor
from detectron2.modeling import build_model

from cases import CATEGORY_IDS, draw, image_sizes, write_expected, write_image
from spread import spread

FOLDERS = {"mask": "COCO-InstanceSegmentation", "keypoint": "COCO-Keypoints", "faster": "COCO-Detection"}


def zoo_name(arch):
    return f"{FOLDERS[arch.split('_')[0]]}/{arch}_3x"


def config(arch):
    cfg = get_cfg()
    cfg.merge_from_file(str(Path(detectron2.__file__).parents[1] / "configs" / f"{zoo_name(arch)}.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.05
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = image_sizes(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
    return cfg


def predictor(cfg, model=None):
    """DefaultPredictor of cfg.MODEL.WEIGHTS, or around a model at hand."""
    p = DefaultPredictor(cfg)
    if model is not None:
        p.model = model
    return p


def zoo_arrays(model):
    """The model's weights with what the zoo's older files hold besides."""
    arrays = {k: v.numpy() for k, v in model.state_dict().items()}
    for i, anchors in enumerate(model.proposal_generator.anchor_generator.cell_anchors):
        arrays[f"proposal_generator.anchor_generator.cell_anchors.{i}"] = anchors.numpy()
    return dict(arrays, pixel_mean=model.pixel_mean.numpy(), pixel_std=model.pixel_std.numpy())


def main(out, seed, arch, height=256, width=320):
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    image = draw(np.random.default_rng(seed), height, width)
    write_image(out, image)
    bgr = np.ascontiguousarray(image[:, :, ::-1])

    cfg = config(arch)
    model = build_model(cfg).eval()
    classes = cfg.MODEL.ROI_HEADS.NUM_CLASSES
    targets = {
        "proposal_generator.rpn_head.objectness_logits": 2.5, "proposal_generator.rpn_head.anchor_deltas": 0.1,
        "roi_heads.box_predictor.cls_score": 2.5, "roi_heads.box_predictor.bbox_pred": 0.3,
        "roi_heads.mask_head.predictor": 3.0, "roi_heads.keypoint_head.score_lowres": 3.0,
    }
    # The more background, the fewer detections: some cases are cut at 100, others at the score's threshold.
    shift = 2.0 + 2 * (seed % 3) if classes > 1 else 1.0
    spread(model, lambda: predictor(cfg, model)(bgr), seed, targets, background=("roi_heads.box_predictor.cls_score", classes, shift))
    with open(os.path.join(out, "weights.pkl"), "wb") as file:
        pickle.dump({"model": zoo_arrays(model), "__author__": "tools/fidelity"}, file, protocol=2 + seed % 3)
    del model

    cfg.MODEL.WEIGHTS = os.path.join(out, "weights.pkl")
    found = predictor(cfg)(bgr)["instances"]
    size = f"--min-size {cfg.INPUT.MIN_SIZE_TEST} --max-size {cfg.INPUT.MAX_SIZE_TEST}"
    keypoints = found.pred_keypoints.numpy() if found.has("pred_keypoints") else None
    write_expected(
        out, kind=arch, seed=seed, image=image, args=f"--model {zoo_name(arch)} {size}",
        boxes=found.pred_boxes.tensor.numpy(), scores=found.scores.numpy(), labels=[CATEGORY_IDS[c] for c in found.pred_classes],
        masks=found.pred_masks.numpy() if found.has("pred_masks") else None,
        keypoints=None if keypoints is None else keypoints[..., :2], keypoint_scores=None if keypoints is None else keypoints[..., 2],
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:6]))
