/** The commands and options of `mrcnn`. */
import type { ImageSize } from "@mrcnn/core";
import { Command, InvalidArgumentError, Option } from "commander";
import { assertBackendCan, backendNames, precisions } from "./backend.ts";
import type { BackendOptions } from "./backend.ts";
import { bench } from "./commands/bench.ts";
import type { BenchOptions } from "./commands/bench.ts";
import { convert, librariesOfWeights, weightsDtypes } from "./commands/convert.ts";
import type { ConvertOptions } from "./commands/convert.ts";
import { detect } from "./commands/detect.ts";
import type { DetectOptions } from "./commands/detect.ts";
import { doctor } from "./commands/doctor.ts";
import type { DoctorOptions } from "./commands/doctor.ts";
import { evaluate } from "./commands/eval.ts";
import type { EvalOptions } from "./commands/eval.ts";
import { inspect } from "./commands/inspect.ts";
import type { InspectOptions } from "./commands/inspect.ts";
import { listModels } from "./commands/models.ts";
import type { ModelsOptions } from "./commands/models.ts";
import { writeShapes } from "./commands/shapes.ts";
import type { ShapesOptions } from "./commands/shapes.ts";
import { train } from "./commands/train.ts";
import type { TrainOptions } from "./commands/train.ts";
import type { Terminal } from "./terminal.ts";
import { version } from "./version.ts";

const numberWhere =
  (fits: (n: number) => boolean, what: string) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !fits(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };
const whole = numberWhere((n) => Number.isInteger(n) && n >= 1, "a whole number from 1 up");
const positive = numberWhere((n) => n > 0 && Number.isFinite(n), "a number above 0");
const seed = numberWhere((n) => Number.isInteger(n) && n >= 0, "a whole number from 0 up");
const fraction = numberWhere((n) => n >= 0 && n <= 1, "a number from 0 to 1");
const imageSize = (text: string): ImageSize => {
  const [, height, width = height] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (!(Number(height) >= 32 && Number(width) >= 32))
    throw new InvalidArgumentError("It must be HEIGHTxWIDTH in pixels, or one side, from 32 up.");
  return { height: Number(height), width: Number(width) };
};
const collect = (value: string, before: readonly string[]): string[] => [...before, value];
// What weights can't tell, said by whoever knows it.
const sayOfModel = (command: Command): Command =>
  command
    .option(
      "--classes <names>",
      "names of the model's classes, label 1 first, with commas between; or a file of one a line",
    )
    .option(
      "--config <file>",
      "what weights can't tell: a model's config, or the config of a training or run",
    )
    .option(
      "--set <path=value>",
      "a value of the model's config, as anchors.sizes=[[16],[32],[64],[128],[256]]; may be repeated",
      collect,
      [],
    );

const exitCodes = `Exit codes:
  0    success
  1    it could not be done; one line on stderr says why and what to do
  2    wrong usage
  3    detect: some of the images, or all, could not be read; they are named on stderr, the others are done
  130  stopped by Ctrl-C`;

/**
 * The `mrcnn` command and its subcommands. `exit` is called with the exit code of the one that ran;
 * what it throws passes through.
 */
export function createProgram(terminal: Terminal, exit: (code: number) => void): Command {
  const program = new Command("mrcnn")
    .description("Mask R-CNN: train, evaluate and detect.")
    .version(version())
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
    })
    .exitOverride()
    .showHelpAfterError("(--help shows how)")
    .addHelpText(
      "after",
      `\n${exitCodes}\n--json, --html and --results of every command take - for stdout; everything else is then on stderr.`,
    );

  const command = (signature: string, description: string, example: string): Command =>
    program
      .command(signature)
      .description(description)
      .addHelpText("after", `\nExample:\n${example.replaceAll(/^/gm, "  ")}`)
      .addOption(
        new Option(
          "--backend <name>",
          "where to compute; auto: the first that starts of tensorflow on a GPU, webgpu on a GPU, tensorflow, wasm",
        )
          .choices(backendNames)
          .default("auto"),
      )
      .option("--seed <n>", "makes the run repeatable", seed)
      .option("--verbose", "show the stack of an error, and what the backends' own libraries write");
  // Options of the commands that compute for long.
  const computing = (...signature: Parameters<typeof command>): Command =>
    command(...signature)
      .addOption(
        new Option(
          "--precision <type>",
          "of products: bf16 on CPUs that have it, tf32 on GPUs, float16 for detection on webgpu",
        ).choices(precisions),
      )
      .option("--threads <n>", "threads of the CPU to compute with (default: one for each processor)", whole)
      .option("--memory-limit <MB>", "a GPU's memory to take at most (default: what is needed)", positive);
  const does =
    <T>(action: (options: T & BackendOptions, ...args: string[][]) => Promise<number>) =>
    async (...all: unknown[]): Promise<void> => {
      // Commander hands over arguments, options, command.
      const options = all.at(-2) as T & BackendOptions;
      assertBackendCan(options);
      exit(await action(options, ...(all.slice(0, -2).map((arg) => [arg].flat()) as string[][])));
    };

  computing(
    "train [config]",
    "Trains a model. Ctrl-C (SIGTERM, SIGHUP) stops after the current step with a checkpoint (exit code 130), and so does an error (1); --resume goes on exactly there. It needs --out alone. A config given with it is compared with the run's: optimizer and training data change only by a --set beside --resume, the network, batch size, seed and augmentation never.",
    "mrcnn train configs/nuclei.json --out runs/nuclei \\\n  --set data.train.images=data/train --set data.train.annotations=data/train.json\nmrcnn train --out runs/nuclei --resume\nmrcnn train --out runs/nuclei --resume --set optimizer.rate=0.001",
  )
    .requiredOption(
      "--out <dir>",
      "folder of the run: config, metrics, checkpoints, TensorBoard events, report",
    )
    .option(
      "--set <path=value>",
      "change a value of the config (JSON, or a plain string); may be repeated",
      collect,
      [],
    )
    .option("--resume", "go on from the newest checkpoint in --out", false)
    .action(does<TrainOptions>((options, [config]) => train(config, options, terminal)));

  sayOfModel(
    computing(
      "eval",
      "Runs a model over a COCO-format data set and evaluates it; or, without --model, evaluates a results file.",
      "mrcnn eval --model runs/nuclei --images data/val --annotations data/val.json --json val.json\nmrcnn eval --results results.json --annotations data/val.json --iou-type segm",
    ),
  )
    .option(
      "--model <model>",
      "a run directory of `mrcnn train`, a name that `mrcnn models` lists, or a file of weights",
    )
    .option("--weights <file>", "weights to use instead of the model's: .pth, .pkl, .h5 or .safetensors")
    .option("--cache <dir>", "folder of downloaded weights (default: MRCNN_CACHE, or the user's cache)")
    .option("--offline", "download nothing", false)
    .option("--redownload", "replace what is in the cache", false)
    .option("--images <dir>", "folder of the images")
    .requiredOption("--annotations <file>", "COCO annotations")
    .option(
      "--results <file>",
      "with --model: keep the detections here, in COCO results format; without: evaluate these",
    )
    .addOption(new Option("--iou-type <type>", "of a results file").choices(["bbox", "segm", "keypoints"]))
    .option("--score-threshold <x>", "lowest score of a detection", fraction)
    .option("--max-detections <n>", "most detections per image, in the model and in the evaluation", whole)
    .option("--min-size <n>", "shorter edge of the network input", whole)
    .option("--max-size <n>", "longest edge of the network input", whole)
    .addOption(
      new Option(
        "--orientation <which>",
        "which way up photos of the data set are read that EXIF says are turned (default: stored)",
      ).choices(["stored", "exif"]),
    )
    .option(
      "--skip-unreadable",
      "score the other images when some can't be read; without it nothing is scored then",
      false,
    )
    .option("--json <file>", "write the numbers here, in full precision")
    .option(
      "--html <file>",
      "write a page here: curves, classes, kinds of errors, the worst images (of a results file: with --images)",
    )
    .action(does<EvalOptions>((options) => evaluate(options, terminal)));

  sayOfModel(
    computing(
      "detect <image...>",
      "Detects objects in image files, or in all images of folders.",
      "mrcnn detect photo.jpg --model maskrcnn_resnet50_fpn --json found.json --overlay overlays\nmrcnn detect photos/ --model runs/nuclei --json found.json",
    ),
  )
    .requiredOption(
      "--model <model>",
      "a run directory of `mrcnn train`, a name that `mrcnn models` lists, or a file of weights",
    )
    .option("--weights <file>", "weights to use instead of the model's: .pth, .pkl, .h5 or .safetensors")
    .option("--cache <dir>", "folder of downloaded weights (default: MRCNN_CACHE, or the user's cache)")
    .option("--offline", "download nothing", false)
    .option("--redownload", "replace what is in the cache", false)
    .option("--score-threshold <x>", "lowest score of a detection", fraction, 0.5)
    .option("--max-detections <n>", "most detections per image (default: the model's own, mostly 100)", whole)
    .option("--min-size <n>", "shorter edge of the network input", whole)
    .option("--max-size <n>", "longest edge of the network input", whole)
    .option(
      "--max-pixels <n>",
      "images of more pixels are not decoded (default: 178956970, half a gigabyte)",
      whole,
    )
    .option("--recursive", "look into folders within folders too", false)
    .option(
      "--json <file>",
      "write the detections here (- for stdout); while it works, to FILE.partial, which stays when it is ended",
    )
    .option("--overlay <dir>", "draw them over the images, one PNG each")
    .addHelpText("after", `\n${exitCodes}`)
    .action(does<DetectOptions>((options, images) => detect(images!, options, terminal)));

  sayOfModel(
    command(
      "convert <file-or-run>",
      "Converts weights of torchvision, detectron2 or matterport, or a run of `mrcnn train`, to one safetensors file that says what it is, and says what fewer bits cost.",
      "mrcnn convert maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth --from torchvision --model maskrcnn_resnet50_fpn \\\n  --out maskrcnn.safetensors --dtype float16\nmrcnn convert runs/nuclei --out nuclei.safetensors --dtype float16",
    ),
  )
    .addOption(
      new Option(
        "--from <library>",
        "whose weights they are (default: this project's own: a run directory of `mrcnn train`, or a file it has written)",
      ).choices(librariesOfWeights),
    )
    .option(
      "--model <name>",
      "with --from: the model they are of: a name that `mrcnn models` lists, or one of your own",
    )
    .requiredOption("--out <file>", "file to write; it ends in .safetensors")
    .addOption(
      new Option("--dtype <type>", "float16 halves the file, int8 quarters it")
        .choices(weightsDtypes)
        .default("float32"),
    )
    .option(
      "--shards <MB>",
      "write files of at most so many megabytes, and FILE.index.json that lists them",
      positive,
    )
    .option("--check <image>", "run both models on an image and say how their detections differ")
    .option("--json <file>", "write the sizes and each tensor's error here")
    .action(does<ConvertOptions>((options, [file]) => convert(file!, options, terminal)));

  command(
    "inspect",
    "Looks a COCO-format data set over before training. Exit code 1 when something in it would stop a training.",
    "mrcnn inspect --images data/train --annotations data/train.json --html inspect.html",
  )
    .option("--images <dir>", "folder of the images (default: the config's)")
    .option("--annotations <file>", "COCO annotations (default: the config's)")
    .option("--config <file>", "judge for training with this config, and estimate the memory that takes")
    .option(
      "--set <path=value>",
      "change a value of the config, as for train: model.mask=false, data.train.degenerate=drop; may be repeated",
      collect,
      [],
    )
    .option("--html <file>", "write a page with histograms and samples")
    .option("--samples <n>", "images on the page", whole, 12)
    .option("--json <file>", "write the findings here")
    .action(does<InspectOptions>((options) => inspect(options, terminal)));

  command(
    "shapes",
    "Writes generated pictures of shapes with COCO annotations: something to try everything on.",
    "mrcnn shapes --out shapes --count 100 --seed 7",
  )
    .requiredOption("--out <dir>", "folder for images/ and annotations.json")
    .option("--count <n>", "number of images", whole, 100)
    .action(does<ShapesOptions>((options) => writeShapes(options, terminal)));

  command(
    "models",
    "Lists the pretrained models: whose they are, how good, how large, under which licence, and which are here already.",
    "mrcnn models --json models.json",
  )
    .option("--cache <dir>", "folder of downloaded weights (default: MRCNN_CACHE, or the user's cache)")
    .option("--json <file>", "write the list here, with URLs and classes")
    .action(does<ModelsOptions>((options) => listModels(options, terminal)));

  computing(
    "bench",
    "Times detection, whole and by stage, and with --train a training step, on generated images. Without --weights a model of the catalog gets random ones.",
    "mrcnn bench --model maskrcnn_resnet50_fpn --size 800x1333 --all-backends\nmrcnn bench --model runs/nuclei --batch 4 --train --json bench.json",
  )
    .option(
      "--model <model>",
      "a name that `mrcnn models` lists, or a run directory of `mrcnn train`",
      "maskrcnn_resnet50_fpn",
    )
    .option("--weights <file>", "weights to use: .pth, .pkl, .h5 or .safetensors")
    .addOption(
      new Option("--size <HxW>", "height and width of the images, which are not resized")
        .argParser(imageSize)
        .default(imageSize("512"), "512x512"),
    )
    .option("--batch <n>", "images at a time", whole, 1)
    .option("--train", "time a training step as well", false)
    .option("--rounds <n>", "runs that count, after two that warm up", whole, 3)
    .option("--all-backends", "tensorflow and wasm, one after the other, as far as they load", false)
    .option("--json <file>", "write every time here")
    .action(does<BenchOptions>((options) => bench(options, terminal)));

  command(
    "doctor",
    "Says which backends load here, tries each, and what to install for the others.",
    "mrcnn doctor",
  )
    .option("--json <file>", "write the findings here")
    .action(does<DoctorOptions>((options) => doctor(options, terminal)));

  return program;
}
