import type { ErrorCode } from "./generated/ErrorCode";

/** Why a join or a request failed: what the server said, or what went wrong on this side. */
export type MeshErrorCode = ErrorCode | "permission" | "device" | "network" | "timeout" | "ended" | "unsupported";

/**
 * What is wrong with a microphone or camera: the person or the browser said no, there is none, another program has it, it
 * was unplugged, this browser gives none here, or something else.
 */
export type DeviceProblem = "denied" | "missing" | "busy" | "lost" | "unsupported" | "failed";

/** Every failure of the SDK. `message` is a sentence fit to be shown to a person. */
export class MeshError extends Error {
  override readonly name = "MeshError";

  constructor(
    /** What kind of failure this is. */
    readonly code: MeshErrorCode,
    message: string,
    /** When to try again, if the server said so. */
    readonly retryAfterMs?: number,
    /** Other edges that may take the join, as `http(s)://host:port`. */
    readonly edges: readonly string[] = [],
    /** What is wrong with a device, where one is the cause. */
    readonly problem?: DeviceProblem,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later without anybody doing something about it. */
  get retryable(): boolean {
    return ["busy", "unavailable", "tooMany", "network", "timeout"].includes(this.code);
  }
}

/** What the name of an exception of `getUserMedia` means. */
export function deviceProblem(cause: unknown): DeviceProblem {
  if (cause instanceof MeshError) return cause.problem ?? "failed";
  const name = cause instanceof Error ? cause.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  return name === "NotReadableError" || name === "AbortError" ? "busy" : "failed";
}

/** Turns what `getUserMedia` throws into a {@link MeshError}. */
export function mediaError(cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  const problem = deviceProblem(cause);
  const failed = (text: string): MeshError =>
    new MeshError(problem === "denied" ? "permission" : "device", text, undefined, [], problem);
  if (problem === "denied") {
    return failed("The browser did not allow the microphone or camera. Allow them in the address bar, or join without them.");
  }
  if (problem === "missing") return failed("No microphone or camera was found. Connect one, or join without them.");
  if (problem === "busy") {
    return failed("Another program is using the microphone or camera. Close it, or join without them.");
  }
  return failed(`The microphone or camera could not be opened: ${cause instanceof Error ? cause.message : String(cause)}`);
}
