int test_order(void);

int main(void)
{
    return test_order();
}
