import { mediaError, MeshError } from "./errors";
import type { TrackKindJson } from "./generated/TrackKindJson";
import { CAMERA_DEFAULT, type MediaOptions } from "./options";

/** The parts of `navigator.mediaDevices` that are used here. */
export type Devices = Pick<MediaDevices, "getUserMedia" | "getDisplayMedia">;

/** Where tracks go: the current peer. */
export type Publish = (kind: TrackKindJson, track: MediaStreamTrack | null) => Promise<void>;

/** What a shared screen is to be good at: sharp text, or smooth movement. */
export type ScreenHint = "detail" | "motion";

/** What a hint asks of the track. Text at 15 frames a second has twice the bits for each. */
const SCREEN_HINTS = {
  detail: { contentHint: "text", framesPerSecond: 15 },
  motion: { contentHint: "motion", framesPerSecond: 30 },
} as const;

const KINDS: readonly TrackKindJson[] = ["mic", "camera", "screen"];

type Asked = boolean | MediaTrackConstraints;

/** The own microphone, camera and screen. What is muted sends nothing at all, and a camera that is off is let go. */
export class Publisher {
  /** What the self view shows: the own tracks, without a shared screen. */
  readonly localStream: MediaStream;
  /** Is told when a device went away by itself. */
  onlost: ((kind: "mic" | "camera") => void) | undefined;
  readonly #tracks = new Map<TrackKindJson, MediaStreamTrack>();
  readonly #later = new Map<TrackKindJson, MediaTrackConstraints>();
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
    if (media.later?.mic) this.#later.set("mic", media.later.mic);
    if (media.later?.camera) this.#later.set("camera", media.later.camera);
  }

  /** Opens what is to be published from the start, with one question to the person. */
  async open(): Promise<void> {
    const { audio = true, video = true } = this.media;
    const wanted = { audio: this.#given("mic", audio), video: this.#given("camera", video) };
    if (wanted.video === true) wanted.video = CAMERA_DEFAULT;
    if (wanted.audio === false && wanted.video === false) return;
    const stream = await this.#ask(wanted);
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

  /** Takes another device. What is muted stays muted and opens it later. */
  async setDevice(kind: "mic" | "camera", constraints: MediaTrackConstraints, publish: Publish): Promise<void> {
    const before = this.#later.get(kind);
    this.#later.set(kind, constraints);
    if (this.muted(kind)) {
      this.#forget(kind);
      return;
    }
    // Some systems open a camera once only: the old one is let go first.
    this.#forget(kind);
    try {
      await publish(kind, await this.#openOne(kind));
    } catch (cause) {
      this.#muted.set(kind, true);
      if (before) this.#later.set(kind, before);
      else this.#later.delete(kind);
      await publish(kind, null);
      throw cause;
    }
  }

  /** Asks for a screen. `ended` is called when the person stops it in the browser's own bar. */
  async openScreen(hint: ScreenHint, ended: () => void): Promise<MediaStreamTrack> {
    if (!this.devices?.getDisplayMedia) throw new MeshError("unsupported", "This browser cannot share a screen.");
    const { contentHint, framesPerSecond } = SCREEN_HINTS[hint];
    const stream = await this.devices
      .getDisplayMedia({ video: { frameRate: { max: framesPerSecond } }, audio: false })
      .catch((cause: unknown) => {
        const failed = mediaError(cause);
        throw failed.code === "permission" ? new MeshError("permission", "No screen was shared.", undefined, [], "denied") : failed;
      });
    const track = stream.getVideoTracks()[0];
    if (!track) throw new MeshError("device", "No screen was chosen.");
    track.contentHint = contentHint;
    track.onended = ended;
    this.#tracks.set("screen", track);
    this.#muted.set("screen", false);
    return track;
  }

  /** Says anew what the shared screen is to be good at. */
  hintScreen(hint: ScreenHint): void {
    const track = this.#tracks.get("screen");
    if (!track) return;
    const { contentHint, framesPerSecond } = SCREEN_HINTS[hint];
    track.contentHint = contentHint;
    // A source that cannot change its rate keeps it.
    void track.applyConstraints({ frameRate: { max: framesPerSecond } }).catch(() => {});
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

  /** Stops everything, for whoever may not publish any more. Answers what was live. */
  async stopAll(publish: Publish): Promise<TrackKindJson[]> {
    const live = KINDS.filter((kind) => !this.muted(kind));
    for (const kind of KINDS) {
      this.#forget(kind);
      this.#muted.set(kind, true);
    }
    for (const kind of live) await publish(kind, null);
    return live;
  }

  /** Lets go of all devices. */
  close(): void {
    for (const kind of [...this.#tracks.keys()]) this.#forget(kind);
  }

  /** Keeps a track that is open already; answers what is still to be asked for. */
  #given(kind: "mic" | "camera", what: Asked | MediaStreamTrack): Asked {
    if (typeof what === "boolean" || !("readyState" in what)) return what;
    this.#keep(kind, what as MediaStreamTrack);
    return false;
  }

  async #openOne(kind: "mic" | "camera"): Promise<MediaStreamTrack> {
    const { audio, video } = this.media;
    const asked = kind === "mic" ? audio : video;
    const first = typeof asked === "object" && !("readyState" in asked) ? asked : undefined;
    const wanted = this.#later.get(kind) ?? first ?? (kind === "mic" ? true : CAMERA_DEFAULT);
    const stream = await this.#ask(kind === "mic" ? { audio: wanted, video: false } : { audio: false, video: wanted });
    const track = stream.getTracks()[0];
    if (!track) throw new MeshError("device", "The browser gave no track.");
    this.#keep(kind, track);
    return track;
  }

  #ask(constraints: MediaStreamConstraints): Promise<MediaStream> {
    return askForMedia(this.devices, constraints);
  }

  #keep(kind: "mic" | "camera", track: MediaStreamTrack): void {
    this.#forget(kind);
    if (kind === "camera") track.contentHint = "motion";
    track.onended = () => {
      this.#forget(kind);
      this.#muted.set(kind, true);
      this.onlost?.(kind);
    };
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

/** Asks for devices; what the browser throws becomes a {@link MeshError}. */
export async function askForMedia(
  devices: Pick<MediaDevices, "getUserMedia"> | undefined,
  constraints: MediaStreamConstraints,
): Promise<MediaStream> {
  if (!devices?.getUserMedia) {
    throw new MeshError(
      "unsupported",
      "This browser gives no access to microphone and camera here. Open the meeting over https or on localhost.",
      undefined,
      [],
      "unsupported",
    );
  }
  try {
    return await devices.getUserMedia(constraints);
  } catch (cause) {
    throw mediaError(cause);
  }
}
