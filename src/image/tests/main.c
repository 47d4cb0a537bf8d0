#include <string.h>

int test_bad_frames(void);
int test_codec(void);
int test_decoder(void);
int test_frames(void);
int test_image(void);
int test_lenient(void);
int test_mask(void);
int test_volume(void);

int decoder_test_child(void);

// The decoder pool starts this program again as `decode`.
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "decode") == 0)
        return decoder_test_child();
    return test_image() + test_frames() + test_codec() + test_lenient() + test_bad_frames() + test_decoder() +
           test_volume() + test_mask();
}
