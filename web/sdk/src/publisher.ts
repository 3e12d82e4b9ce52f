import { mediaError, MeshError } from "./errors";
import type { TrackKindJson } from "./generated/TrackKindJson";
import { CAMERA_DEFAULT, type MediaOptions } from "./options";

/** The parts of `navigator.mediaDevices` that are used here. */
export type Devices = Pick<MediaDevices, "getUserMedia" | "getDisplayMedia">;

/** Where tracks go: the current peer. */
export type Publish = (kind: TrackKindJson, track: MediaStreamTrack | null) => Promise<void>;

/** The own microphone, camera and screen. What is muted sends nothing at all, and a camera that is off is let go. */
export class Publisher {
  /** What the self view shows: the own tracks, without a shared screen. */
  readonly localStream: MediaStream;
  readonly #tracks = new Map<TrackKindJson, MediaStreamTrack>();
  readonly #muted = new Map<TrackKindJson, boolean>([
    ["mic", true],
    ["camera", true],
    ["screen", true],
  ]);

  constructor(
    private readonly media: MediaOptions,
    private readonly devices: Devices | undefined = globalThis.navigator?.mediaDevices,
    stream: MediaStream = new MediaStream(),
  ) {
    this.localStream = stream;
  }

  /** Opens what is to be published from the start, with one question to the person. */
  async open(): Promise<void> {
    const { audio, video } = this.#constraints();
    if (audio === false && video === false) return;
    const stream = await this.#ask({ audio, video });
    for (const track of stream.getTracks()) this.#keep(track.kind === "audio" ? "mic" : "camera", track);
  }

  /** Whether a kind sends nothing now. */
  muted(kind: TrackKindJson): boolean {
    return this.#muted.get(kind) ?? true;
  }

  /** The track of a kind, muted or not. */
  track(kind: TrackKindJson): MediaStreamTrack | undefined {
    return this.#tracks.get(kind);
  }

  /** Mutes or unmutes. A microphone stays open, so that it is back at once; a camera is closed and opened again. */
  async setMuted(kind: "mic" | "camera", muted: boolean, publish: Publish): Promise<void> {
    const track = this.#tracks.get(kind);
    if (muted) {
      this.#muted.set(kind, true);
      if (track) track.enabled = false;
      if (kind === "camera") this.#forget(kind);
      await publish(kind, null);
      return;
    }
    const live = track?.readyState === "live" ? track : await this.#openOne(kind);
    live.enabled = true;
    this.#muted.set(kind, false);
    await publish(kind, live);
  }

  /** Asks for a screen. `ended` is called when the person stops it in the browser's own bar. */
  async openScreen(ended: () => void): Promise<MediaStreamTrack> {
    if (!this.devices?.getDisplayMedia) throw new MeshError("unsupported", "This browser cannot share a screen.");
    const stream = await this.devices
      .getDisplayMedia({ video: { frameRate: { max: 30 } }, audio: false })
      .catch((cause: unknown) => Promise.reject(mediaError(cause)));
    const track = stream.getVideoTracks()[0];
    if (!track) throw new MeshError("device", "No screen was chosen.");
    track.contentHint = "text";
    track.onended = ended;
    this.#tracks.set("screen", track);
    this.#muted.set("screen", false);
    return track;
  }

  /** Stops sharing. */
  closeScreen(): void {
    this.#forget("screen");
    this.#muted.set("screen", true);
  }

  /** Gives a new peer everything that is not muted. */
  async publishAll(publish: Publish): Promise<void> {
    for (const [kind, track] of this.#tracks) {
      await publish(kind, this.muted(kind) ? null : track);
    }
  }

  /** Lets go of all devices. */
  close(): void {
    for (const kind of [...this.#tracks.keys()]) this.#forget(kind);
  }

  #constraints(): { audio: MediaTrackConstraints | boolean; video: MediaTrackConstraints | boolean } {
    const { audio = true, video = true } = this.media;
    return { audio, video: video === true ? CAMERA_DEFAULT : video };
  }

  async #openOne(kind: "mic" | "camera"): Promise<MediaStreamTrack> {
    const { audio, video } = this.#constraints();
    const stream = await this.#ask(
      kind === "mic" ? { audio: audio || true, video: false } : { audio: false, video: video || CAMERA_DEFAULT },
    );
    const track = stream.getTracks()[0];
    if (!track) throw new MeshError("device", "The browser gave no track.");
    this.#keep(kind, track);
    return track;
  }

  async #ask(constraints: MediaStreamConstraints): Promise<MediaStream> {
    if (!this.devices?.getUserMedia) {
      throw new MeshError(
        "unsupported",
        "This browser gives no access to microphone and camera here. Open the meeting over https or on localhost.",
      );
    }
    try {
      return await this.devices.getUserMedia(constraints);
    } catch (cause) {
      throw mediaError(cause);
    }
  }

  #keep(kind: "mic" | "camera", track: MediaStreamTrack): void {
    this.#forget(kind);
    if (kind === "camera") track.contentHint = "motion";
    this.#tracks.set(kind, track);
    this.#muted.set(kind, false);
    this.localStream.addTrack(track);
  }

  #forget(kind: TrackKindJson): void {
    const track = this.#tracks.get(kind);
    if (!track) return;
    track.onended = null;
    track.stop();
    this.localStream.removeTrack(track);
    this.#tracks.delete(kind);
  }
}
