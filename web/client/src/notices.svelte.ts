/** Something a person is told and may act on. */
export interface Notice {
  /** One of a kind at a time: a newer one replaces it. */
  readonly kind: string;
  /** What happened. Asked anew when the language changes. */
  readonly text: () => string;
  /** What can be done about it. */
  readonly actions: readonly { readonly id: string; readonly label: () => string; readonly run: () => unknown }[];
}

/** What hosts did to oneself, until it is read or done with. */
export class Notices {
  list = $state.raw<readonly Notice[]>([]);

  show(kind: string, text: () => string, actions: Notice["actions"] = []): void {
    this.list = [...this.list.filter((notice) => notice.kind !== kind), { kind, text, actions }];
  }

  drop(kind: string): void {
    this.list = this.list.filter((notice) => notice.kind !== kind);
  }

  clear(): void {
    this.list = [];
  }
}
