import type { ClientMessage } from "./generated/ClientMessage";
import type { MemberJson } from "./generated/MemberJson";
import type { MemberRoleJson } from "./generated/MemberRoleJson";
import type { ServerMessageOf } from "./signalling";
import type { Knocking, MeetingSettings } from "./types";

const SETTINGS: MeetingSettings = { locked: false, waitingRoom: false, chatLocked: false, pinnedShare: undefined };
const NOBODY: Knocking = { people: [], total: 0 };

/** Who is told when something is another now. */
export interface StandingHandlers {
  role(role: MemberRoleJson): void;
  hand(raised: boolean): void;
  settings(settings: MeetingSettings): void;
  knocking(knocking: Knocking): void;
}

/** What one is in the meeting, and how the meeting is set: role, raised hand, settings, who knocks. */
export class Standing {
  #role: MemberRoleJson;
  #hand = false;
  /** Whether the roster has shown the raised hand; before that, one without it is an older one. */
  #handSeen = false;
  #settings = SETTINGS;
  #knocking = NOBODY;
  readonly #selves = new Set<number>();

  constructor(
    publish: boolean,
    private readonly send: (message: ClientMessage) => boolean,
    private readonly handlers: StandingHandlers,
  ) {
    this.#role = publish ? "panelist" : "attendee";
  }

  get role(): MemberRoleJson {
    return this.#role;
  }

  get mayPublish(): boolean {
    return this.#role !== "attendee";
  }

  get hand(): boolean {
    return this.#hand;
  }

  get settings(): MeetingSettings {
    return this.#settings;
  }

  get knocking(): Knocking {
    return this.#knocking;
  }

  /** Whether an id is one's own, or was before a reconnect. */
  isSelf(id: number): boolean {
    return this.#selves.has(id);
  }

  /** A new session: the hand goes up there too; what others decide is told anew. */
  joined({ participant, role }: ServerMessageOf<"joined">): void {
    this.#selves.add(participant);
    this.#knocking = NOBODY;
    this.#handSeen = false;
    this.become(role);
    if (this.#hand) this.send({ type: "hand", raised: true });
  }

  /** Takes a role; whether it is another one. */
  become(role: MemberRoleJson): boolean {
    if (this.#role === role) return false;
    this.#role = role;
    if (role !== "host") this.#knock(NOBODY);
    this.handlers.role(role);
    return true;
  }

  raise(raised: boolean): void {
    this.send({ type: "hand", raised });
    this.#handSeen = false;
    this.#raised(raised);
  }

  /**
   * The own entry of the roster: a hand that is down there was lowered by a host. In a crowd an attendee is listed only while the
   * hand is up.
   */
  seen(self: MemberJson | undefined, crowd: boolean): void {
    if (!this.#hand || (!self && !crowd)) return;
    const up = self?.hand !== undefined && self.hand !== null;
    if (this.#handSeen && !up) this.#raised(false);
    this.#handSeen = up;
  }

  told(message: ServerMessageOf<"settings"> | ServerMessageOf<"knocking">): void {
    if (message.type === "knocking") {
      this.#knock({ people: message.people, total: message.total });
      return;
    }
    const { locked, waitingRoom, chatLocked, pinnedShare } = message;
    this.#settings = { locked, waitingRoom, chatLocked, pinnedShare: pinnedShare ?? undefined };
    this.handlers.settings(this.#settings);
  }

  #knock(knocking: Knocking): void {
    if (knocking.total === 0 && this.#knocking.total === 0) return;
    this.#knocking = knocking;
    this.handlers.knocking(knocking);
  }

  #raised(raised: boolean): void {
    if (this.#hand === raised) return;
    this.#hand = raised;
    this.handlers.hand(raised);
  }
}
