/** What the norms of pyramid and heads are told. */
import type { LayerNormOptions } from "@mrcnn/nn";
import type { HeadNorm, MaskRcnnConfig, NormSettings } from "./config.ts";
import { numericsProfiles } from "./numerics.ts";

/** Which statistics batch norm uses: the batch's own while training, the running ones otherwise. */
export type Statistics = "batch" | "running";

/** A part's norm with its groups and eps; the library's eps where the config gives none. */
export const normOptions = (
  { numerics }: MaskRcnnConfig,
  { norm, groups, eps = numericsProfiles[numerics].normEps }: NormSettings & { readonly norm: HeadNorm },
): LayerNormOptions => (norm === "none" ? {} : { norm, eps, ...(groups !== undefined && { groups }) });
