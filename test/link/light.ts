// Light skeletons made by bpftool, compiled and loaded: the tags that the kernel gives their programs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const NO_SKELETONS: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  if (spawnSync('bpftool', ['version']).status !== 0) return 'no bpftool';
  const compiled = spawnSync('cc', ['-fsyntax-only', '-x', 'c', '-'], {
    input: '#include <errno.h>\n#include <stdlib.h>\n#include <bpf/bpf.h>\n#include <bpf/skel_internal.h>\n',
  });
  return compiled.status === 0 ? undefined : 'no C compiler with the headers of libbpf';
})();

/** Tag by program; `undefined` when no skeleton can be made, compiled or loaded. */
export function loadLight(object: Uint8Array): ReadonlyMap<string, string> | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'light-'));
  try {
    const path = join(directory, 'sample.o');
    writeFileSync(path, object);
    const skeleton = spawnSync('bpftool', ['gen', 'skeleton', '-L', path, 'name', 'sample'], { encoding: 'utf8' });
    if (skeleton.status !== 0) return undefined;
    writeFileSync(join(directory, 'sample.lskel.h'), skeleton.stdout);
    writeFileSync(join(directory, 'main.c'), mainFor(programsOf(skeleton.stdout)));
    const binary = join(directory, 'main');
    const flags = ['-w', '-O0', '-I', directory, '-o', binary, join(directory, 'main.c'), '-lbpf'];
    if (spawnSync('cc', flags).status !== 0) return undefined;
    const run = spawnSync(binary, { encoding: 'utf8' });
    if (run.status !== 0) return undefined;
    const lines = run.stdout.split('\n').filter((line) => line !== '');
    return new Map(lines.map((line) => line.split(' ', 2)).map(([name = '', tag = '']) => [name, tag]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The members of `progs` in the skeleton's struct. */
function programsOf(skeleton: string): string[] {
  const [, members = ''] = /struct \{\n((?:\t\tstruct bpf_prog_desc \w+;\n)+)\t\} progs;/.exec(skeleton) ?? [];
  return [...members.matchAll(/bpf_prog_desc (\w+);/g)].map(([, name = '']) => name);
}

function mainFor(programs: readonly string[]): string {
  const shows = programs.map((name) => `\tshow("${name}", skeleton->progs.${name}.prog_fd);`);
  return `#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include "sample.lskel.h"

static void show(const char *name, int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (fd <= 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
		return;
	printf("%s ", name);
	for (int at = 0; at < 8; at++)
		printf("%02x", info.tag[at]);
	printf("\\n");
}

int main(void)
{
	struct sample *skeleton = sample__open_and_load();

	if (!skeleton)
		return 1;
${shows.join('\n')}
	return 0;
}
`;
}
