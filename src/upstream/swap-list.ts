/** A member knows where it is, so that it can be taken out at once. */
export interface Listed {
  /** Of the list that it is in, which alone sets it; -1: in none. */
  listIndex: number;
}

/**
 * A set of objects, in no order, for members that come and go with every request. A Set would leave a chain of its outgrown tables in the old part of the
 * heap, each of which keeps the next one alive, and with them what was in them: until the next full collection nothing of a request would be free.
 */
export class SwapList<T extends Listed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** The only member, if it is one. */
  get only(): T | undefined {
    return this.#members.length === 1 ? this.#members[0] : undefined;
  }

  add(member: T): void {
    member.listIndex = this.#members.push(member) - 1;
  }

  has(member: T): boolean {
    return member.listIndex >= 0 && this.#members[member.listIndex] === member;
  }

  /** False: it was not there. */
  delete(member: T): boolean {
    if (!this.has(member)) return false;
    const last = this.#members.pop() as T;
    if (last !== member) {
      this.#members[member.listIndex] = last;
      last.listIndex = member.listIndex;
    }
    member.listIndex = -1;
    return true;
  }

  clear(): void {
    for (const member of this.#members) member.listIndex = -1;
    this.#members.length = 0;
  }

  /** All that are in it now. */
  toArray(): T[] {
    return this.#members.slice();
  }
}
