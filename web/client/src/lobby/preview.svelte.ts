import { Preview, type PreviewOptions, type SourceKind, type SourceState } from "@mesh/sdk";
import { prefs } from "../prefs.svelte";
import type { Store } from "../store.svelte";

const OFF: SourceState = { on: false, status: "off", deviceId: undefined, problem: undefined };

/** The SDK's preview, for the page. */
export class PreviewState {
  mic = $state.raw<SourceState>(OFF);
  camera = $state.raw<SourceState>(OFF);
  mics = $state.raw<readonly MediaDeviceInfo[]>([]);
  cameras = $state.raw<readonly MediaDeviceInfo[]>([]);
  micTrack = $state.raw<MediaStreamTrack | undefined>();
  readonly preview: Preview;

  constructor(store: Store) {
    const { audio, video } = store.link;
    const kept = (kind: SourceKind, allowed: boolean) => {
      const { on, deviceId } = prefs.source(kind);
      return { on: on && allowed, deviceId };
    };
    const constraints = store.processing === true ? {} : store.processing;
    const options: PreviewOptions = { mic: { ...kept("mic", audio), constraints }, camera: kept("camera", video) };
    this.preview = new Preview(options);
    this.preview.on("change", () => this.#read());
    void this.preview.start();
  }

  /** Turns a source on or off, and remembers it. */
  async toggle(kind: SourceKind): Promise<void> {
    const { on, deviceId } = this.preview[kind];
    prefs.keepSource(kind, !on, deviceId);
    await this.preview.setOn(kind, !on);
  }

  /** Takes another device, and remembers it. */
  async choose(kind: SourceKind, deviceId: string): Promise<void> {
    prefs.keepSource(kind, true, deviceId);
    await this.preview.choose(kind, deviceId);
  }

  #read(): void {
    const { preview } = this;
    this.mic = preview.mic;
    this.camera = preview.camera;
    this.mics = preview.devices("mic");
    this.cameras = preview.devices("camera");
    this.micTrack = preview.track("mic");
  }
}
