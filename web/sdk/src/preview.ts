import { Emitter } from "./emitter";
import { deviceProblem, type DeviceProblem } from "./errors";
import { CAMERA_DEFAULT, type MediaOptions } from "./options";
import { askForMedia } from "./publisher";

/** A source that a {@link Preview} opens. */
export type SourceKind = "mic" | "camera";

/** How a source of a {@link Preview} is. */
export interface SourceState {
  /** Whether the person wants it. */
  readonly on: boolean;
  /** `live`: open, there is a track. `failed`: wanted, but see `problem`. */
  readonly status: "off" | "opening" | "live" | "failed";
  /** The device that is open, else the one to open. */
  readonly deviceId: string | undefined;
  /** Why it failed. */
  readonly problem: DeviceProblem | undefined;
}

/** How one source is to begin. */
export interface PreviewSource {
  /** Whether to open it. Default: `true`. */
  readonly on?: boolean | undefined;
  /** The device that was chosen another time; another one is opened if it is gone. */
  readonly deviceId?: string | undefined;
  /** More constraints, such as `echoCancellation: false`. */
  readonly constraints?: MediaTrackConstraints | undefined;
}

/** What a {@link Preview} takes. */
export interface PreviewOptions {
  /** The microphone. */
  readonly mic?: PreviewSource | undefined;
  /** The camera. */
  readonly camera?: PreviewSource | undefined;
}

/** The events of a {@link Preview}. */
export interface PreviewEvents {
  /** A source or the list of devices is another now: read them again. */
  change: undefined;
}

/** The parts of `navigator.mediaDevices` that a preview uses. */
export type PreviewDevices = Pick<
  MediaDevices,
  "getUserMedia" | "enumerateDevices" | "addEventListener" | "removeEventListener"
>;

interface Source {
  on: boolean;
  status: SourceState["status"];
  deviceId: string | undefined;
  problem: DeviceProblem | undefined;
  track: MediaStreamTrack | undefined;
  /** Counts what was asked for, so that a late answer to an older question is let go. */
  turn: number;
  readonly constraints: MediaTrackConstraints;
}

/**
 * Microphone and camera before a meeting: to be seen and chosen, with what is wrong with them. {@link Preview.take} hands the
 * open tracks to {@link Mesh.join}, so that nobody is asked twice and no camera blinks.
 */
export class Preview extends Emitter<PreviewEvents> {
  /** Holds the tracks that are open; always the same object. */
  readonly stream: MediaStream;
  readonly #sources: Record<SourceKind, Source>;
  #devices: readonly MediaDeviceInfo[] = [];
  #closed = false;
  #opening: Promise<unknown> = Promise.resolve();

  /** Opens nothing yet: see {@link Preview.start}. */
  constructor(
    options: PreviewOptions = {},
    private readonly media: PreviewDevices | undefined = globalThis.navigator?.mediaDevices,
    stream: MediaStream = new MediaStream(),
  ) {
    super();
    this.stream = stream;
    this.#sources = { mic: sourceOf(options.mic, {}), camera: sourceOf(options.camera, CAMERA_DEFAULT) };
    this.media?.addEventListener?.("devicechange", this.#devicesChanged);
  }

  /** How the microphone is. */
  get mic(): SourceState {
    return stateOf(this.#sources.mic);
  }

  /** How the camera is. */
  get camera(): SourceState {
    return stateOf(this.#sources.camera);
  }

  /** The devices of a source. Browsers name them only once one was opened. */
  devices(kind: SourceKind): readonly MediaDeviceInfo[] {
    const wanted = kind === "mic" ? "audioinput" : "videoinput";
    return this.#devices.filter((device) => device.kind === wanted && device.deviceId !== "");
  }

  /** The open track of a source. */
  track(kind: SourceKind): MediaStreamTrack | undefined {
    return this.#sources[kind].track;
  }

  /** Opens what is on, with one question to the person; if that fails, each by itself. Never rejects: see the states. */
  start(): Promise<void> {
    return this.#follow(this.#start());
  }

  /** Resolves when nothing is being opened: before that, {@link Preview.take} gives too little. */
  async ready(): Promise<void> {
    for (let seen; seen !== this.#opening; ) {
      seen = this.#opening;
      await seen;
    }
  }

  #follow(opening: Promise<void>): Promise<void> {
    this.#opening = Promise.all([this.#opening, opening]);
    return opening;
  }

  async #start(): Promise<void> {
    const { mic, camera } = this.#sources;
    const waits = (source: Source): boolean => source.on && source.status !== "live";
    if (waits(mic) && waits(camera)) {
      const turns = [this.#begin(mic), this.#begin(camera)];
      try {
        const stream = await askForMedia(this.media, {
          audio: constraintsOf(mic, "ideal"),
          video: constraintsOf(camera, "ideal"),
        });
        this.#settle("mic", turns[0], stream.getAudioTracks()[0]);
        this.#settle("camera", turns[1], stream.getVideoTracks()[0]);
      } catch {
        // One of them is the cause: asked alone, the other one may well be there.
      }
    }
    for (const kind of ["mic", "camera"] as const) {
      if (waits(this.#sources[kind])) await this.#open(kind, "ideal");
    }
    await this.#list();
  }

  /** Turns a source on or off; off, the device is let go. */
  async setOn(kind: SourceKind, on: boolean): Promise<void> {
    const source = this.#sources[kind];
    source.on = on;
    if (on) await this.#follow(this.#open(kind, "ideal"));
    else this.#drop(kind, "off");
    await this.#list();
  }

  /** Takes another device, and turns the source on. */
  async choose(kind: SourceKind, deviceId: string): Promise<void> {
    const source = this.#sources[kind];
    Object.assign(source, { deviceId, on: true });
    await this.#follow(this.#open(kind, "exact"));
    await this.#list();
  }

  /** What to join with: the open tracks, which now belong to the meeting, and how to open again what is off. */
  take(): MediaOptions {
    const { mic, camera } = this.#sources;
    const options = {
      audio: mic.track ?? false,
      video: camera.track ?? false,
      later: { mic: constraintsOf(mic, "ideal"), camera: constraintsOf(camera, "ideal") },
    };
    for (const source of [mic, camera]) {
      if (source.track) source.track.onended = null;
      source.track = undefined;
      source.turn += 1;
    }
    this.close();
    return options;
  }

  /** Lets go of everything that was not taken. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.media?.removeEventListener?.("devicechange", this.#devicesChanged);
    for (const kind of ["mic", "camera"] as const) {
      this.#sources[kind].turn += 1;
      this.#sources[kind].track?.stop();
      this.#sources[kind].track = undefined;
    }
  }

  readonly #devicesChanged = (): void => {
    void this.#list();
    for (const kind of ["mic", "camera"] as const) {
      const { on, status, problem } = this.#sources[kind];
      if (on && status === "failed" && (problem === "missing" || problem === "lost")) void this.#open(kind, "ideal");
    }
  };

  #begin(source: Source): number {
    source.turn += 1;
    Object.assign(source, { status: "opening", problem: undefined });
    this.emit("change", undefined);
    return source.turn;
  }

  async #open(kind: SourceKind, how: "ideal" | "exact"): Promise<void> {
    const source = this.#sources[kind];
    // Some systems open a camera once only: the old one is let go first.
    this.#drop(kind, "opening");
    const turn = this.#begin(source);
    const wanted = constraintsOf(source, how);
    try {
      const stream = await askForMedia(this.media, kind === "mic" ? { audio: wanted } : { video: wanted });
      this.#settle(kind, turn, stream.getTracks()[0]);
    } catch (cause) {
      if (source.turn !== turn) return;
      Object.assign(source, { status: "failed", problem: deviceProblem(cause) });
      this.emit("change", undefined);
    }
  }

  #settle(kind: SourceKind, turn: number | undefined, track: MediaStreamTrack | undefined): void {
    const source = this.#sources[kind];
    if (!track) return;
    if (source.turn !== turn || this.#closed) {
      track.stop();
      return;
    }
    const deviceId = track.getSettings?.().deviceId || source.deviceId;
    Object.assign(source, { track, status: "live", problem: undefined, deviceId });
    track.onended = () => {
      this.#drop(kind, "failed");
      source.problem = "lost";
      this.emit("change", undefined);
    };
    this.stream.addTrack(track);
    this.emit("change", undefined);
  }

  #drop(kind: SourceKind, status: SourceState["status"]): void {
    const source = this.#sources[kind];
    source.turn += 1;
    if (source.track) {
      source.track.onended = null;
      source.track.stop();
      this.stream.removeTrack(source.track);
    }
    Object.assign(source, { track: undefined, status, problem: undefined });
    this.emit("change", undefined);
  }

  async #list(): Promise<void> {
    this.#devices = (await this.media?.enumerateDevices?.().catch(() => [])) ?? [];
    if (!this.#closed) this.emit("change", undefined);
  }
}

function sourceOf(options: PreviewSource | undefined, base: MediaTrackConstraints): Source {
  return {
    on: options?.on ?? true,
    status: "off",
    deviceId: options?.deviceId,
    problem: undefined,
    track: undefined,
    turn: 0,
    constraints: { ...base, ...options?.constraints },
  };
}

function stateOf({ on, status, deviceId, problem }: Source): SourceState {
  return { on, status, deviceId, problem };
}

function constraintsOf({ constraints, deviceId }: Source, how: "ideal" | "exact"): MediaTrackConstraints {
  return deviceId === undefined ? constraints : { ...constraints, deviceId: { [how]: deviceId } };
}
