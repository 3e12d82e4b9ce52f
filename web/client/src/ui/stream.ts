/** A Svelte action that shows a MediaStream in an element; `srcObject` has no attribute. */
export function show(node: HTMLMediaElement, stream: MediaStream | undefined): { update(s: MediaStream | undefined): void } {
  const update = (next: MediaStream | undefined): void => {
    if (node.srcObject !== (next ?? null)) node.srcObject = next ?? null;
  };
  update(stream);
  return { update };
}

/** Starts an audio element and says whether the browser wants a click first. */
export async function startAudio(node: HTMLAudioElement): Promise<"playing" | "blocked"> {
  try {
    await node.play();
    return "playing";
  } catch (cause) {
    return cause instanceof DOMException && cause.name === "NotAllowedError" ? "blocked" : "playing";
  }
}
