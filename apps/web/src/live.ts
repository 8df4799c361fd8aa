/** Detection in a camera's stream or a video file. */

/** Measures frames per second over the last frames. */
export interface RateMeter {
  /** Counts a frame at `time`, in milliseconds. */
  tick(time: number): number;
}

/** Creates a meter that averages over the last `span` frames. */
export function createRateMeter(span = 8): RateMeter {
  const times: number[] = [];
  return {
    tick(time) {
      times.push(time);
      if (times.length > span + 1) times.shift();
      const elapsed = time - times[0]!;
      return elapsed > 0 ? ((times.length - 1) / elapsed) * 1000 : 0;
    },
  };
}

/** A running stream. */
export interface Live {
  stop(): void;
}

/** Callbacks of a stream. */
export interface LiveEvents {
  /**
   * Detects the objects of a frame. The next frame is taken when this is done: frames in between are dropped,
   * and none waits.
   */
  readonly onFrame: (frame: ImageBitmap) => Promise<void>;
  /** Called with the number of frames per second that are processed. */
  readonly onRate: (rate: number) => void;
  readonly onError: (error: unknown) => void;
  readonly onEnd: () => void;
}

/**
 * Processes a camera (`source` undefined) or a video file, newest frame first, until stopped or at its end.
 */
export async function startLive(
  video: HTMLVideoElement,
  source: Blob | undefined,
  { onFrame, onRate, onError, onEnd }: LiveEvents,
): Promise<Live> {
  let stream: MediaStream | undefined;
  let url: string | undefined;
  let isOn = true;
  const meter = createRateMeter();
  const stop = (): void => {
    if (!isOn) return;
    isOn = false;
    video.pause();
    video.srcObject = null;
    video.removeAttribute("src");
    for (const track of stream?.getTracks() ?? []) track.stop();
    if (url !== undefined) URL.revokeObjectURL(url);
    onEnd();
  };
  try {
    if (source === undefined) {
      if (navigator.mediaDevices === undefined)
        throw new DOMException("The page is not secure: no camera.", "SecurityError");
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
        audio: false,
      });
      video.srcObject = stream;
    } else {
      url = URL.createObjectURL(source);
      video.src = url;
    }
    await video.play();
  } catch (error) {
    stop();
    throw error;
  }
  stream?.getTracks()[0]?.addEventListener("ended", stop);
  video.addEventListener("ended", stop, { once: true });
  void (async () => {
    try {
      while (isOn) {
        if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        const frame = await createImageBitmap(video);
        if (!isOn) {
          frame.close();
          break;
        }
        await onFrame(frame);
        if (isOn) onRate(meter.tick(performance.now()));
      }
    } catch (error) {
      onError(error);
      stop();
    }
  })();
  return { stop };
}
