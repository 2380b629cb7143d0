/**
 * Remembers answers for the rest of this turn of the event loop: when a response names ten thousand clusters on the same library, its file is looked at once per
 * turn, and still every time that something could have changed for us. Exceptions are not remembered.
 */
export function oncePerTurn<T>(ask: (key: string) => T): (key: string) => T {
  const answers = new Map<string, { readonly value: T }>();
  return (key) => {
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = { value: ask(key) };
      if (answers.size === 0) setImmediate(() => answers.clear());
      answers.set(key, answer);
    }
    return answer.value;
  };
}
