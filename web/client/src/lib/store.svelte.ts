import { Mesh, MeshError, parseMeetingLink, type Floor, type Meeting, type MeetingState, type Member, type Slot } from "@mesh/sdk";

declare global {
  interface Window {
    /** For tests and diagnostics. */
    mesh: { meeting: Meeting | undefined };
  }
}

/** What the page knows: the link, and the meeting once it is joined. */
export class Store {
  readonly link = parseMeetingLink(location.href);
  phase = $state<"form" | "joining" | "meeting" | "ended">("form");
  error = $state<MeshError | undefined>();
  endReason = $state("");
  state = $state<MeetingState>("connecting");
  members = $state.raw<readonly Member[]>([]);
  slots = $state.raw<readonly Slot[]>([]);
  floor = $state.raw<Floor>({ main: undefined, recent: [] });
  speaking = $state.raw<readonly number[]>([]);
  self = $state<number | undefined>();
  micMuted = $state(true);
  cameraOff = $state(true);
  sharing = $state(false);
  pinned = $state<number | undefined>();
  meeting = $state.raw<Meeting | undefined>();

  constructor() {
    window.mesh = { meeting: undefined };
  }

  /** Joins; what goes wrong is in `error`. */
  async join(name: string, withMedia = true): Promise<void> {
    const { token, signalUrl, simulcast, processing, maxBitrateBps, audio, video } = this.link;
    if (!token || this.phase === "joining") return;
    this.phase = "joining";
    this.error = undefined;
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const media = {
      audio: withMedia && audio && (processing || plain),
      video: withMedia && video,
    };
    try {
      this.#follow(await Mesh.join({ url: signalUrl, token, name, media, simulcast, maxBitrateBps }));
    } catch (cause) {
      this.error = cause instanceof MeshError ? cause : new MeshError("network", String(cause));
      this.phase = "form";
    }
  }

  /** Mutes or unmutes. */
  async toggle(kind: "mic" | "camera"): Promise<void> {
    await this.#attempt(async (meeting) => meeting.setMuted(kind, !meeting.isMuted(kind)));
  }

  /** Starts or stops sharing the screen. */
  async toggleScreen(): Promise<void> {
    await this.#attempt((meeting) => (this.sharing ? meeting.stopScreenShare() : meeting.startScreenShare()));
  }

  /** Keeps somebody in the main picture, or lets the speaker have it again. */
  togglePin(participant: number): void {
    this.pinned = this.pinned === participant ? undefined : participant;
    this.meeting?.setLayout({ pin: this.pinned });
  }

  leave(): void {
    this.meeting?.leave();
  }

  /** Back to the form. */
  again(): void {
    this.phase = "form";
    this.error = undefined;
  }

  async #attempt(action: (meeting: Meeting) => Promise<void>): Promise<void> {
    if (!this.meeting) return;
    try {
      this.error = undefined;
      await action(this.meeting);
    } catch (cause) {
      this.error = cause instanceof MeshError ? cause : new MeshError("device", String(cause));
    }
  }

  #follow(meeting: Meeting): void {
    window.mesh.meeting = meeting;
    this.meeting = meeting;
    this.phase = "meeting";
    this.state = meeting.state;
    this.members = meeting.members;
    this.slots = meeting.slots;
    this.floor = meeting.floor;
    this.self = meeting.participantId;
    this.micMuted = meeting.isMuted("mic");
    this.cameraOff = meeting.isMuted("camera");
    meeting.on("roster", (members) => {
      this.members = members;
      if (this.pinned !== undefined && !members.some(({ id }) => id === this.pinned)) this.togglePin(this.pinned);
    });
    meeting.on("slots", (slots) => (this.slots = slots));
    meeting.on("floor", (floor) => (this.floor = floor));
    meeting.on("speaking", (speaking) => (this.speaking = speaking));
    meeting.on("muted", ({ kind, muted }) => {
      if (kind === "mic") this.micMuted = muted;
      else if (kind === "camera") this.cameraOff = muted;
      else this.sharing = !muted;
    });
    meeting.on("state", (state) => {
      this.state = state;
      this.self = meeting.participantId;
      if (state === "connected") this.error = undefined;
    });
    meeting.on("error", (error) => (this.error = error));
    meeting.on("ended", ({ reason }) => {
      this.endReason = reason;
      this.phase = "ended";
      this.meeting = undefined;
      this.pinned = undefined;
    });
  }
}
