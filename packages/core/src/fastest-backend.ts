/**
 * The one rule for which backend computes where nobody has said: the library, the command and the page follow
 * it.
 */

/** What a started backend computes with. */
export interface ComputeDevice {
  readonly isGpu: boolean;
}

/** A backend that may be started here. */
export interface BackendOffer<Device extends ComputeDevice> {
  readonly name: string;
  /** Whether it may compute on a GPU, which only starting it tells. */
  readonly mayUseGpu: boolean;
  /** Starts it and makes it the current one. Rejects where it can't run. */
  start(): Promise<Device>;
  /** Makes it the current one again after another was started. */
  resume?(): Promise<void>;
}

/** The backend that was chosen. */
export interface ChosenBackend<Device extends ComputeDevice> {
  readonly name: string;
  readonly device: Device;
  /** Errors of the offers that did not start, by name. */
  readonly failures: ReadonlyMap<string, Error>;
}

/**
 * Starts the fastest of the backends on offer: the first that computes on a GPU; without one, the first that
 * starts on the processor. What is on offer stands in the order of preference; what can't use a GPU starts
 * only when nothing else did.
 *
 * @throws the last offer's error when none starts.
 */
export async function startFastest<Device extends ComputeDevice>(
  offers: readonly BackendOffer<Device>[],
): Promise<ChosenBackend<Device>> {
  const failures = new Map<string, Error>();
  const started = async (offer: BackendOffer<Device>): Promise<Device | undefined> => {
    try {
      return await offer.start();
    } catch (error) {
      failures.set(offer.name, error as Error);
      return undefined;
    }
  };
  let standby: { readonly offer: BackendOffer<Device>; readonly device: Device } | undefined;
  for (const offer of offers.filter(({ mayUseGpu }) => mayUseGpu)) {
    const device = await started(offer);
    if (device?.isGpu === true) return { name: offer.name, device, failures };
    if (device !== undefined) standby ??= { offer, device };
  }
  if (standby !== undefined) {
    await standby.offer.resume?.();
    return { name: standby.offer.name, device: standby.device, failures };
  }
  for (const offer of offers.filter(({ mayUseGpu }) => !mayUseGpu)) {
    const device = await started(offer);
    if (device !== undefined) return { name: offer.name, device, failures };
  }
  throw [...failures.values()].at(-1) ?? new Error("no backend is on offer");
}
