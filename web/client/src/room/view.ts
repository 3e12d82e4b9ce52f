import type { Floor, Member, Slot } from "@mesh/sdk";

/** A picture, or the initials of somebody whose picture is not there. */
export interface TileView {
  readonly participant: number;
  readonly name: string;
  /** Without a stream the tile shows initials. */
  readonly stream: MediaStream | undefined;
  readonly micMuted: boolean;
  /** Whether a hand is up. */
  readonly hand: boolean;
}

/** What the page shows of a meeting. */
export interface MeetingView {
  readonly main: TileView | undefined;
  readonly screen: TileView | undefined;
  /** Everybody else who publishes: first those with a picture, then those by initials. */
  readonly others: readonly TileView[];
}

/** The name of a participant; the roster may be a moment behind the media. */
export function nameOf(members: readonly Member[], id: number, guest = "Guest"): string {
  return members.find((member) => member.id === id)?.name || `${guest} ${id & 0xfffff}`;
}

/** Up to two letters that stand for a person. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "?";
}

/** A colour of one's own, as an angle of the colour wheel: neighbouring ids are far apart (golden angle). */
export function hueOf(id: number): number {
  return Math.round((id * 137.508) % 360);
}

/**
 * Arranges slots and roster: the main slot large, the strip slots small, and behind them those who have no picture. The
 * main tile shows the floor's holder by initials when there is no picture to show.
 */
export function arrange(
  slots: readonly Slot[],
  members: readonly Member[],
  floor: Floor,
  self: number | undefined,
  guest?: string,
): MeetingView {
  const tile = (participant: number, stream?: MediaStream): TileView => {
    const member = members.find(({ id }) => id === participant);
    const hand = member?.hand !== undefined;
    return { participant, name: nameOf(members, participant, guest), stream, micMuted: member?.micMuted ?? false, hand };
  };
  const shown = (role: Slot["role"]): TileView[] =>
    slots.flatMap((slot) =>
      slot.role === role && slot.participant !== undefined ? [tile(slot.participant, slot.stream)] : [],
    );
  const others = members.filter((member) => member.id !== self && member.role !== "attendee");
  const speaker = others.find((member) => member.id === floor.main) ?? (others.length === 1 ? others[0] : undefined);
  const main = shown("main")[0] ?? (speaker && tile(speaker.id));
  const pictures = shown("strip").filter(
    (view, i, all) => view.participant !== main?.participant && all.findIndex((v) => v.participant === view.participant) === i,
  );
  const seen = new Set([main?.participant, ...pictures.map((view) => view.participant)]);
  const faceless = others.filter((member) => !seen.has(member.id)).map((member) => tile(member.id));
  return { main, screen: shown("screen")[0], others: [...pictures, ...faceless] };
}

/**
 * The tiles of a gallery: at most `room` of the others, those with a picture first; then in the order of the roster, so that
 * nobody jumps to another place because somebody speaks.
 */
export function galleryTiles({ main, others }: MeetingView, room: number): TileView[] {
  const all = main ? [main, ...others] : [...others];
  const pictures = all.filter(({ stream }) => stream !== undefined);
  const faceless = all.filter(({ stream }) => stream === undefined);
  return [...pictures, ...faceless].slice(0, room).sort((a, b) => a.participant - b.participant);
}

/** The list of people: raised hands first, in the order they went up; then the rest as they came. */
export function handsFirst(members: readonly Member[]): readonly Member[] {
  const turn = ({ hand }: Member): number => hand ?? Infinity;
  return [...members].sort((a, b) => (turn(a) === turn(b) ? a.id - b.id : turn(a) - turn(b)));
}

/** Those whose name contains what was typed, without regard to case and accents. */
export function search(members: readonly Member[], typed: string): readonly Member[] {
  const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
  const wanted = plain(typed.trim());
  return wanted === "" ? members : members.filter(({ name }) => plain(name).includes(wanted));
}

/** Who came and who went between two rosters. Someone who came back under another id is neither. */
export function changes(before: readonly Member[], after: readonly Member[]): { came: Member[]; went: Member[] } {
  const without = (all: readonly Member[], others: readonly Member[]): Member[] =>
    all.filter((member) => !others.some(({ id }) => id === member.id));
  const came = without(after, before);
  const went = without(before, after);
  const same = (a: Member, list: Member[]): boolean => list.some(({ name }) => name === a.name);
  return { came: came.filter((member) => !same(member, went)), went: went.filter((member) => !same(member, came)) };
}
