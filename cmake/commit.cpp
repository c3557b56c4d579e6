// commit: what `--version` says of the build. In a file of its own, because it changes with every commit.
//
//   extern const char selfpatch_version[], selfpatch_commit[];     // "0.1.0", "3f2a91c04d7e" or ""
#ifndef SELFPATCH_VERSION
#define SELFPATCH_VERSION ""
#define SELFPATCH_COMMIT ""
#endif

extern const char selfpatch_version[];
extern const char selfpatch_commit[];
const char selfpatch_version[] = SELFPATCH_VERSION;
const char selfpatch_commit[] = SELFPATCH_COMMIT;
