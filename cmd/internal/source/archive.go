package source

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// dosDate is the first day that a zip archive can name, 1980-01-01, so that it says nothing of when it was made.
	dosDate = 1<<5 | 1
	// unix3 says that the mode in a header is Unix's.
	unix3 = 3 << 8
	// mode is a plain file that everybody may read.
	mode = 0o100644
	// unpackMost bounds what an archive may unpack to: Cloud Functions take 500 MB.
	unpackMost = 500_000_000
)

// Zip returns an archive of files. The same files make the same bytes: sorted, with one time and mode for all, and stored
// as they are, because what a compressor makes of them changes from one version of Go to the next.
func Zip(files []File) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		size := uint64(len(f.Data))
		h := &zip.FileHeader{
			Name: f.Name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(f.Data), CompressedSize64: size, UncompressedSize64: size,
			CreatorVersion: unix3 | 20, ReaderVersion: 20, ExternalAttrs: mode << 16,
		}
		h.ModifiedDate = dosDate //nolint:staticcheck // CreateRaw, below, looks at no other field for the time
		// CreateHeader would add a time stamp of its own, and put the sizes behind the data, where not every reader
		// finds those of stored files.
		part, err := w.CreateRaw(h)
		if err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Name, err)
		}
		if _, err := part.Write(f.Data); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end the archive: %w", err)
	}
	return out.Bytes(), nil
}

// Unpack writes the files of an archive below the folder to, which must not exist, and returns their number.
func Unpack(archive []byte, to string) (int, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return 0, fmt.Errorf("read the archive: %w", err)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return 0, fmt.Errorf("make the source folder: %w", err)
	}
	left := int64(unpackMost)
	for _, f := range r.File {
		n, err := unpack(f, to, left)
		if err != nil {
			return 0, fmt.Errorf("unpack %s: %w", f.Name, err)
		}
		left -= n
	}
	return len(r.File), nil
}

func unpack(f *zip.File, to string, most int64) (int64, error) {
	if !filepath.IsLocal(f.Name) || !f.Mode().IsRegular() {
		return 0, errors.New("it is not a plain file below the root")
	}
	in, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return 0, err
	}
	if int64(len(data)) > most {
		return 0, fmt.Errorf("the archive unpacks to more than %d bytes", unpackMost)
	}
	path := filepath.Join(to, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	return int64(len(data)), os.WriteFile(path, data, 0o600)
}
