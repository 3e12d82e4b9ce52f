import { MeshError, type HostActions, type Knocking, type Meeting, type MeetingSettings, type MemberRole } from "@mesh/sdk";
import { locale } from "./i18n/locale.svelte";
import { announcer } from "./ui/announcer.svelte";

/** What one is in the meeting, and what a host decides. */
export class Hosting {
  role = $state<MemberRole>("panelist");
  owner = $state(false);
  settings = $state.raw<MeetingSettings>({ locked: false, waitingRoom: false, chatLocked: false, pinnedShare: undefined });
  knocking = $state.raw<Knocking>({ people: [], total: 0 });
  /** Whether the token allows writing. */
  mayChat = $state(true);
  #meeting: Meeting | undefined;

  constructor(private readonly failed: (error: MeshError) => void) {}

  get isHost(): boolean {
    return this.role === "host";
  }

  get mayPublish(): boolean {
    return this.role !== "attendee";
  }

  follow(meeting: Meeting, mayChat: boolean): void {
    this.#meeting = meeting;
    this.mayChat = mayChat;
    this.role = meeting.role;
    this.owner = meeting.owner;
    this.settings = meeting.settings;
    this.knocking = meeting.knocking;
    meeting.on("role", (role) => (this.role = role));
    meeting.on("state", () => (this.owner = meeting.owner));
    meeting.on("settings", (settings) => (this.settings = settings));
    meeting.on("knocking", (knocking) => this.#knock(knocking));
  }

  /** Does something as a host; whether it was done. Why not is shown. */
  async act(action: (host: HostActions) => Promise<void>): Promise<boolean> {
    if (!this.#meeting) return false;
    try {
      await action(this.#meeting.host);
      return true;
    } catch (cause) {
      this.failed(cause instanceof MeshError ? cause : new MeshError("network", String(cause)));
      return false;
    }
  }

  #knock(knocking: Knocking): void {
    const before = this.knocking;
    this.knocking = knocking;
    if (knocking.total <= before.total) return;
    const newcomer = knocking.people.find(({ id }) => !before.people.some((known) => known.id === id));
    announcer.say(locale.t.said.knocks(newcomer?.name || locale.t.guest));
  }
}
