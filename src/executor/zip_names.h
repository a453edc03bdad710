/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zip_names: libarchive converts a name that a zip archive marks as UTF-8 to the charset of the
 * process's locale. A static program has none but "C", where such names come out empty. Without the
 * mark they are passed on as the bytes they are, which is what file systems want.
 */
#pragma once

/*
 * Takes the mark off every name of the archive in fd, which must be ours to write. What is no zip
 * stays.
 */
void zip_names_unmark(int fd);
