import { MeshError } from "./errors";

/** Whatever was thrown, as a {@link MeshError}. */
export function asMeshError(cause: unknown): MeshError {
  return cause instanceof MeshError ? cause : new MeshError("network", String(cause));
}

/** `RTCStatsReport` is a map; the DOM types know only its `forEach`. */
export function statsValues(report: RTCStatsReport | undefined): unknown[] {
  const values: unknown[] = [];
  report?.forEach((value: unknown) => void values.push(value));
  return values;
}

/** Resolves after a while. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
