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
  /** Made with its first member: an array that is grown has room for many more, and there are lists that never have a second one. */
  #members: T[] | undefined;

  get size(): number {
    return this.#members === undefined ? 0 : this.#members.length;
  }

  /** The only member, if it is one. */
  get only(): T | undefined {
    return this.#members?.length === 1 ? this.#members[0] : undefined;
  }

  add(member: T): void {
    if (this.#members === undefined) {
      this.#members = [member];
      member.listIndex = 0;
    } else {
      member.listIndex = this.#members.push(member) - 1;
    }
  }

  has(member: T): boolean {
    return member.listIndex >= 0 && this.#members?.[member.listIndex] === member;
  }

  /** False: it was not there. */
  delete(member: T): boolean {
    const members = this.#members;
    if (members === undefined || !this.has(member)) return false;
    const last = members.pop() as T;
    if (last !== member) {
      members[member.listIndex] = last;
      last.listIndex = member.listIndex;
    }
    member.listIndex = -1;
    return true;
  }

  clear(): void {
    if (this.#members === undefined) return;
    for (const member of this.#members) member.listIndex = -1;
    this.#members.length = 0;
  }

  /** All that are in it now. */
  toArray(): T[] {
    return this.#members?.slice() ?? [];
  }
}
