/**
 * A report: a template in which a line `<!-- NAME -->` stands for a part that is made from results.
 * @throws Error when the template names a part that there isn't
 */
export function fillTemplate(template: string, parts: Readonly<Record<string, string>>): string {
  const text = template.replaceAll(/^<!-- ([\w-]+) -->$/gm, (_, name: string) => {
    const part = parts[name];
    if (part === undefined)
      throw new Error(`the template has <!-- ${name} -->, but there are ${Object.keys(parts).join(', ')}`);
    return part;
  });
  return `${text.trimEnd()}\n`;
}

/** All parts one after the other, for the terminal. */
export function listParts(parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts)
    .map(([name, text]) => `## ${name}\n\n${text}\n`)
    .join('\n');
}
