import type { ErrorCode } from "./generated/ErrorCode";

/** Why a join or a request failed: what the server said, or what went wrong on this side. */
export type MeshErrorCode = ErrorCode | "permission" | "device" | "network" | "timeout" | "ended" | "unsupported";

/** Every failure of the SDK. `message` is a sentence fit to be shown to a person. */
export class MeshError extends Error {
  override readonly name = "MeshError";

  constructor(
    readonly code: MeshErrorCode,
    message: string,
    /** When to try again, if the server said so. */
    readonly retryAfterMs?: number,
    /** Other edges that may take the join, as `http(s)://host:port`. */
    readonly edges: readonly string[] = [],
  ) {
    super(message);
  }

  /** Whether the same request may succeed later without anybody doing something about it. */
  get retryable(): boolean {
    return ["busy", "unavailable", "tooMany", "network", "timeout"].includes(this.code);
  }
}

/** Turns what `getUserMedia` throws into a {@link MeshError}. */
export function mediaError(cause: unknown): MeshError {
  const name = cause instanceof Error ? cause.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return new MeshError(
      "permission",
      "The browser did not allow the microphone or camera. Allow them in the address bar, or join without them.",
    );
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return new MeshError("device", "No microphone or camera was found. Connect one, or join without them.");
  }
  if (name === "NotReadableError" || name === "AbortError") {
    return new MeshError("device", "Another program is using the microphone or camera. Close it, or join without them.");
  }
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new MeshError("device", `The microphone or camera could not be opened: ${detail}`);
}
